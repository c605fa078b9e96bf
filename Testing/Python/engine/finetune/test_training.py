from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medsam2_engine.errors import BadRequest
from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.losses import CROSS_ENTROPY
from medsam2_engine.finetune.settings import ALL, CORRECTIONS, HEAD, LORA, Settings
from medsam2_engine.finetune.trainable import LARGEST_SHARE, share_of
from medsam2_engine.finetune.training import LOG_FILE, Rhythm, Training
from medsam2_engine.framing import ObjectFraming
from medsam2_engine.model.bank import MemoryBank
from medsam2_engine.model.frame import FramePrompt
from medsam2_engine.model.sam2 import Sam2
from training_phantoms import QUICK, TINY, OneClip

TRAIN_AND_SAVE_ALWAYS = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np, torch
from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.training import Rhythm, Training
from medsam2_engine.framing import ObjectFraming
from medsam2_engine.model.bank import MemoryBank
from medsam2_engine.model.frame import FramePrompt
from medsam2_engine.model.sam2 import Sam2
from training_phantoms import QUICK, TINY, OneClip
torch.set_num_threads(1)
torch.manual_seed(0)
kept = np.load(sys.argv[2])
clip = Clip(kept["images"], kept["masks"], (1.0, 1.0), kind="shape")
Training(
    Sam2(TINY), OneClip(clip), ObjectFraming(64), QUICK, Path(sys.argv[1]), rhythm=Rhythm(checkpoint_s=0)
).run()
"""


def training(folder: Path, clip: Clip, settings: Settings = QUICK, seed: int = 0, **others: object) -> Training:
    torch.manual_seed(seed)
    folder.mkdir(exist_ok=True)
    return Training(Sam2(TINY), OneClip(clip), ObjectFraming(64), settings, folder, **others)  # type: ignore[arg-type]


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]


@pytest.mark.slow
def test_one_clip_is_learnt_by_heart(tmp_path: Path, a_clip: Clip) -> None:
    """Prompted slice and followed ones: a memory that is ignored would show in the latter."""
    settings = Settings(
        trained=ALL,
        steps=90,
        frames=6,
        lengths=(3,),
        box=1.0,
        point=0.0,
        learning_rate=2e-3,
        warmup=10,
        average=0.9,
        patience=0,
        losses=CROSS_ENTROPY,
    )
    training(tmp_path / "state", a_clip, settings, rhythm=Rhythm(log=15)).run()
    last = log_of(tmp_path / "state")[-1]
    assert last["dice_box"] > 0.88
    assert last["dice_slice1"] > 0.88
    assert last["dice_slice2"] > 0.88


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, a_clip: Clip) -> None:
    whole = training(tmp_path / "whole", a_clip)
    assert whole.run()
    steps = iter([False, False, False, True])
    assert not training(tmp_path / "killed", a_clip).run(lambda: next(steps))
    resumed = training(tmp_path / "killed", a_clip)
    assert resumed.step == 3
    assert resumed.run()
    for name, parameter in whole.parameters.items():
        assert torch.equal(parameter, resumed.parameters[name]), name
        assert torch.equal(whole.average[name], resumed.average[name]), name


def test_a_training_killed_without_warning_goes_on_to_the_same_weights(tmp_path: Path, a_clip: Clip) -> None:
    whole = training(tmp_path / "whole", a_clip)
    whole.run()
    np.savez(tmp_path / "clip.npz", images=a_clip.images, masks=a_clip.masks)
    folder = tmp_path / "killed"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", TRAIN_AND_SAVE_ALWAYS, str(folder), str(tmp_path / "clip.npz")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    state = folder / "state.pt"
    while process.poll() is None and not state.is_file():
        time.sleep(0.01)
    process.kill()
    process.wait()
    resumed = training(folder, a_clip)
    assert resumed.step > 0
    resumed.run()
    for name, parameter in whole.parameters.items():
        assert torch.equal(parameter, resumed.parameters[name]), name


def test_a_half_written_state_is_never_read(tmp_path: Path, a_clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "state"
    first = training(folder, a_clip)
    first.run()

    def dies(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        first.save()
    assert training(folder, a_clip).step == QUICK.steps


def test_a_state_of_another_training_is_refused(tmp_path: Path, a_clip: Clip) -> None:
    training(tmp_path / "state", a_clip).run()
    with pytest.raises(BadRequest, match="other settings or other data"):
        training(tmp_path / "state", a_clip, replace(QUICK, learning_rate=5e-4))
    with pytest.raises(BadRequest, match="other settings or other data"):
        training(tmp_path / "state", a_clip, data_digest="other")


def test_the_seed_decides_everything(tmp_path: Path, a_clip: Clip) -> None:
    losses = []
    for number, seed in enumerate((7, 7, 8)):
        folder = tmp_path / str(number)
        training(folder, a_clip, replace(QUICK, seed=seed, steps=2), rhythm=Rhythm(log=1)).run()
        losses.append([line["loss"] for line in log_of(folder)])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_the_head_learns_and_the_image_encoder_stays(tmp_path: Path, a_clip: Clip) -> None:
    head = training(tmp_path / "state", a_clip, replace(QUICK, trained=HEAD, steps=2))
    before = {name: tensor.clone() for name, tensor in head.model.state_dict().items()}
    head.run()
    changed = {name for name, tensor in head.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert any(name.startswith("sam_mask_decoder") for name in changed)
    assert any(name.startswith("memory_") for name in changed)
    assert not any(name.startswith("image_encoder") for name in changed)


def test_low_rank_differences_leave_the_base_unchanged(tmp_path: Path, a_clip: Clip) -> None:
    pytest.importorskip("peft")
    torch.manual_seed(0)
    base = Sam2(TINY).state_dict()
    lora = training(tmp_path / "state", a_clip, replace(QUICK, trained=LORA, steps=2))
    lora.run()
    kept = {name.replace(".base_layer", ""): tensor for name, tensor in lora.model.state_dict().items()}
    for name, tensor in base.items():
        assert torch.equal(kept[name], tensor), name
    assert any("qkv" in name and bool(p.any()) for name, p in lora.parameters.items() if "lora_B" in name)


def test_low_rank_differences_of_the_embedded_model_are_under_three_per_cent() -> None:
    pytest.importorskip("peft")
    from medsam2_engine.backends.load import load_sam2
    from medsam2_engine.finetune.trainable import make_trainable
    from medsam2_engine.models import find_model

    entry = find_model("embedded")
    model = load_sam2(entry, entry)
    assert 0.01 < share_of(make_trainable(model, Settings(trained=LORA)), model) <= LARGEST_SHARE


@torch.no_grad()
def test_learning_to_be_corrected_leaves_boxes_and_following_as_they_are(tmp_path: Path, a_clip: Clip) -> None:
    untouched = training(tmp_path / "a", a_clip, replace(QUICK, trained=CORRECTIONS)).model.eval()
    with torch.enable_grad():
        learnt = training(tmp_path / "b", a_clip, replace(QUICK, trained=CORRECTIONS, steps=3, box=1.0, point=0.0))
        learnt.run()
    model = learnt.model.eval()
    pixels = torch.randn(2, 3, 64, 64)
    box = FramePrompt(torch.tensor([[10.0, 12.0], [40.0, 44.0]]), torch.tensor([2, 3]))
    click = FramePrompt(torch.cat((box.points_xy, torch.tensor([[20.0, 20.0]]))), torch.tensor([2, 3, 0]))
    answers = []
    for each in (untouched, model):
        first, second = (each.encode(pixels).at(n) for n in range(2))
        answer = each.prompt(first, box)
        bank = MemoryBank(TINY, 9)
        bank.add_conditioning(0, each.remember(first, answer, from_prompt=True))
        followed = each.track(second, bank, 1)
        answers.append((answer.logits, followed.logits, each.prompt(first, click, answer.logits).logits))
    assert torch.equal(answers[0][0], answers[1][0])
    assert torch.equal(answers[0][1], answers[1][1])
    assert not torch.equal(answers[0][2], answers[1][2])


def test_gradients_of_several_micro_batches_are_added_up(tmp_path: Path, a_clip: Clip) -> None:
    two = training(tmp_path / "two", a_clip, replace(QUICK, accumulation=2, steps=1), rhythm=Rhythm(log=1))
    two.run()
    assert log_of(tmp_path / "two")[0]["loss"] > 0
    assert two.step == 1


def test_nobody_loses_patience_before_the_learning_rate_falls(tmp_path: Path, a_clip: Clip) -> None:
    """With few cases the score wanders as long as the steps are large, and rises when they become small."""
    scores = iter([0.5, 0.4, 0.3, 0.2, 0.3, 0.6, 0.7])
    patient = training(
        tmp_path / "state",
        a_clip,
        replace(QUICK, steps=6, patience=2),
        validate=lambda: next(scores),
        rhythm=Rhythm(validation=1),
    )
    patient.run()
    assert patient.step == 6
    assert patient.best_score == 0.7


def test_a_training_without_progress_ends_early_with_its_best_weights(tmp_path: Path, a_clip: Clip) -> None:
    scores = iter([0.5, 0.6, 0.4, 0.3, 0.2])
    early = training(
        tmp_path / "state",
        a_clip,
        replace(QUICK, steps=50, patience=2, cooldown=1.0),
        validate=lambda: next(scores),
        rhythm=Rhythm(validation=1),
    )
    early.run()
    assert early.step == 3
    assert early.best_score == 0.6
