"""Checkpoints and adapters of no worth for the tests of Slicer's side, written by a Python of their own.

Slicer's Python has no torch, so the tests that stand for it must not load one either.

    python Testing/weights_on_disk.py checkpoint FILE
    python Testing/weights_on_disk.py adapter FOLDER
"""

import json
import os
import subprocess
import sys
from pathlib import Path

MODULE_FOLDER = Path(__file__).resolve().parents[1] / "MedSAM2Slicer"
EMBEDDED = MODULE_FOLDER / "Resources" / "Models" / "embedded" / "model.safetensors"


def checkpoint_in(folder: Path) -> Path:
    """Seeded weights of the smallest published SAM 2.1, as a training program leaves them."""
    return _made("checkpoint", folder / "from a colleague.pt")


def adapter_in(folder: Path) -> Path:
    """A LoRA adapter, as peft writes it, that changes one layer of the embedded model by a little."""
    return _made("adapter", folder)


def _made(what: str, path: Path) -> Path:
    environment = {**os.environ, "PYTHONPATH": str(MODULE_FOLDER)}
    subprocess.run([sys.executable, __file__, what, str(path)], check=True, env=environment)
    return path


def _write_checkpoint(path: Path) -> None:
    from dataclasses import replace

    import torch

    from medsam2_engine.model.architectures import PUBLISHED
    from medsam2_engine.model.sam2 import Sam2

    state = Sam2(replace(PUBLISHED["sam2.1_hiera_tiny"], image_size=512)).state_dict()
    torch.save({"model": {name: tensor.half() for name, tensor in state.items()}}, path)


def _write_adapter(folder: Path) -> None:
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    folder.mkdir()
    with safe_open(EMBEDDED, "pt") as file:
        name = next(one for one in list(file.keys()) if one.endswith("attn.qkv.weight"))
        rows, columns = file.get_tensor(name).shape
    module = name.removesuffix(".weight")
    factors = {"lora_A": torch.full((2, columns), 1e-3), "lora_B": torch.full((rows, 2), 1e-3)}
    tensors = {f"base_model.model.{module}.{side}.weight": factor for side, factor in factors.items()}
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 2}))


def main(what: str, path: str) -> None:
    {"checkpoint": _write_checkpoint, "adapter": _write_adapter}[what](Path(path))


if __name__ == "__main__":
    main(*sys.argv[1:])
