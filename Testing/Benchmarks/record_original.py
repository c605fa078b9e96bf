"""Record what the original SAM 2 video predictor answers, for Testing/Python/engine/model/test_original.py.

    git clone https://github.com/facebookresearch/sam2
    python Testing/Benchmarks/record_original.py sam2 Testing/Python/engine/model/original_tiny_256.safetensors

Needs PyYAML, tqdm and Pillow beside the engine. The checkout's own modules run as they are, on the CPU in float32;
hydra and iopath, which only find its configuration and weights, are replaced by the few lines below. Nothing is
downloaded: the weights are those of Testing/seeded_network.py, loaded strictly.

The recorded file was made with commit 2b90b9f5ceec907a1c18123530e92e794ad901a4.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

sys.path[:0] = [str(Path(__file__).parents[2] / "MedSAM2Slicer"), str(Path(__file__).parents[1])]

from seeded_network import (  # noqa: E402
    BOX,
    CLICK,
    CORRECTION_LABELS,
    CORRECTIONS,
    FRAMES,
    SIZE,
    drawn_mask,
    seeded_frames,
    seeded_state,
)

CONFIGURATION = "sam2/configs/sam2.1/sam2.1_hiera_t.yaml"
STRIDE = 2  # of the low-resolution logits that are kept
# What build_sam.py adds to the configuration.
POSTPROCESSING = {
    "sam_mask_decoder_extra_args": {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    },
    "binarize_mask_from_pts_for_mem_enc": True,
    "fill_hole_area": 0,  # 8 with the CUDA extension, which is the only one to have it
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        answers = record(original_predictor(options.checkout))
    save_file({name: value.contiguous() for name, value in answers.items()}, options.output)


def original_predictor(checkout: Path) -> Any:
    """The predictor of the checkout, with the seeded weights."""
    import yaml

    _stand_in("hydra", initialize_config_module=lambda *a, **k: None, compose=None)
    _stand_in("hydra.core.global_hydra", GlobalHydra=types.SimpleNamespace(
        instance=lambda: types.SimpleNamespace(is_initialized=lambda: True)))  # fmt: skip
    _stand_in("iopath.common.file_io", g_pathmgr=None)
    sys.path.insert(0, str(checkout))
    settings = yaml.safe_load((checkout / CONFIGURATION).read_text(encoding="utf-8"))["model"]
    settings |= POSTPROCESSING | {"_target_": "sam2.sam2_video_predictor.SAM2VideoPredictor", "image_size": SIZE}
    for part in ("self_attention", "cross_attention"):
        settings["memory_attention"]["layer"][part]["feat_sizes"] = [SIZE // 16, SIZE // 16]
    predictor = _built(settings).eval()
    predictor.load_state_dict(seeded_state())
    module = importlib.import_module("sam2.sam2_video_predictor")
    module.load_video_frames = lambda **given: (seeded_frames(), SIZE, SIZE)
    return predictor


def record(predictor: Any) -> dict[str, Tensor]:
    """Low-resolution logits, by what was asked."""
    answers: dict[str, Tensor] = {}
    state = predictor.init_state("seeded")
    predictor.add_new_points_or_box(state, 0, 1, box=np.array(BOX).ravel())
    answers["box"] = _of(state, 0)
    for frame, _, _ in predictor.propagate_in_video(state):
        answers[f"forward {frame}"] = _of(state, frame)
    predictor.add_new_points_or_box(state, 4, 1, points=np.array(CORRECTIONS), labels=np.array(CORRECTION_LABELS))
    answers["correction"] = _of(state, 4)
    # From the corrected frame itself it would be followed once more, without the clicks.
    for frame, _, _ in predictor.propagate_in_video(state, start_frame_idx=5):
        answers[f"corrected {frame}"] = _of(state, frame)
    predictor.reset_state(state)
    predictor.add_new_points_or_box(state, FRAMES - 1, 1, points=np.array([CLICK]), labels=np.array([1]))
    answers["click"] = _of(state, FRAMES - 1)
    for frame, _, _ in predictor.propagate_in_video(state, reverse=True):
        answers[f"reverse {frame}"] = _of(state, frame)
    predictor.reset_state(state)
    predictor.add_new_points_or_box(state, 0, 1, points=np.array([CLICK]), labels=np.array([1]))
    predictor.add_new_points_or_box(state, 0, 1, points=np.array(CORRECTIONS[1:]), labels=np.array([0]),
                                    clear_old_points=False)  # fmt: skip
    answers["refined"] = _of(state, 0)
    predictor.reset_state(state)
    predictor.add_new_mask(state, 0, 1, drawn_mask())
    for frame, _, _ in predictor.propagate_in_video(state):
        answers[f"drawn {frame}"] = _of(state, frame)
    return answers


def _of(state: Any, frame: int) -> Tensor:
    """What the predictor holds of a frame, before or after it was consolidated."""
    for outputs in (state["temp_output_dict_per_obj"][0], state["output_dict_per_obj"][0]):
        for kind in ("cond_frame_outputs", "non_cond_frame_outputs"):
            if frame in outputs[kind]:
                logits: Tensor = outputs[kind][frame]["pred_masks"][0, 0]
                return logits[::STRIDE, ::STRIDE].clone().float()
    raise LookupError(f"nothing is known of frame {frame}")


def _stand_in(name: str, **content: Any) -> None:
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:end]), types.ModuleType(parts[end - 1]))
    vars(sys.modules[name]).update(content)


def _built(node: Any) -> Any:
    """What hydra's `instantiate` does with a configuration of plain numbers."""
    if isinstance(node, dict):
        values = {name: _built(value) for name, value in node.items() if name != "_target_"}
        if "_target_" not in node:
            return values
        module, _, name = node["_target_"].rpartition(".")
        return getattr(importlib.import_module(module), name)(**values)
    if isinstance(node, list):
        return [_built(value) for value in node]
    if isinstance(node, str):
        try:
            return float(node)  # YAML takes 1e-6 for a word
        except ValueError:
            return node
    return node


if __name__ == "__main__":
    main()
