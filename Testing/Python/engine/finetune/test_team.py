"""A training on several processes, as `accelerate launch` starts them; here on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("accelerate")


@pytest.mark.slow
def test_two_processes_train_one_model_and_tell_of_it_once(case_folder: Path, tmp_path: Path) -> None:
    package = next(path for path in sys.path if path.endswith("MedSAM2Slicer"))
    environment = {
        **os.environ,
        "PYTHONPATH": package,
        "MEDSAM2_MODELS": str(tmp_path / "models"),
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    options = ["--steps", "2", "--frames", "4", "--device", "cpu", "--json"]
    command = [
        "-m",
        "medsam2_engine",
        "finetune",
        str(case_folder),
        "-o",
        str(tmp_path / "out"),
        "--id",
        "ours",
        *options,
    ]
    found = subprocess.run([*launch, *command], env=environment, capture_output=True, text=True, timeout=280)
    assert found.returncode == 0, found.stderr
    lines = [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]
    assert [line["step"] for line in lines if "step" in line] == [1, 2]
    assert [line["end"] for line in lines if "end" in line] == ["done"]
    assert (tmp_path / "models" / "ours" / "model.safetensors").is_file()
