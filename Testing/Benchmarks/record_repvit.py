"""Record what timm's RepViT-M1 answers on seeded weights and pixels, for `test_edgetam.py`.

    python Testing/Benchmarks/record_repvit.py Testing/Python/engine/backends/repvit_timm.safetensors

Needs timm (1.0.31 was recorded) and torchvision, which it imports; nothing else here does. Every `STEP`th value of each
of the four maps is kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path[:0] = [str(Path(__file__).parents[2] / "MedSAM2Slicer"), str(Path(__file__).parents[1])]

from video_oracles import TRUNK_STEP, seeded_trunk_pixels, seeded_trunk_state  # noqa: E402


def main() -> None:
    import timm

    model = timm.create_model("repvit_m1", features_only=True, in_chans=3, out_indices=(0, 1, 2, 3)).eval()
    model.load_state_dict(seeded_trunk_state())
    with torch.inference_mode():
        maps = model(seeded_trunk_pixels())
    recorded = {f"stage {number}": map_.flatten()[::TRUNK_STEP].clone() for number, map_ in enumerate(maps)}
    save_file(recorded, Path(sys.argv[1]), metadata={"timm": timm.__version__})


if __name__ == "__main__":
    main()
