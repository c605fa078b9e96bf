"""Record what SAM-Med2D's own code answers on seeded weights, for `test_sam_med2d.py`.

    git clone https://github.com/OpenGVLab/SAM-Med2D
    python Testing/Benchmarks/record_sam_med2d.py SAM-Med2D \\
        Testing/Python/engine/backends/sam_med2d_original.safetensors

The network is small; its code is the repository's (commit bfd2b93 was recorded). Every `STEP`th value is kept.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path[:0] = [str(Path(__file__).parents[2] / "MedSAM2Slicer"), str(Path(__file__).parents[1])]

from sam_med2d_network import (  # noqa: E402
    BOX,
    DEPTH,
    GLOBAL_BLOCKS,
    HEADS,
    SIZE,
    STEP,
    WIDTH,
    seeded_pixels,
    seeded_state,
)  # fmt: skip
from segment_anything_oracle import segment_anything, their_answer  # noqa: E402


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    sys.path.insert(0, str(options.repository))
    with segment_anything("segment_anything.modeling") as modeling:
        assert Path(modeling.__file__).is_relative_to(options.repository.absolute())
        encoder = modeling.ImageEncoderViT(
            depth=DEPTH, embed_dim=WIDTH, img_size=SIZE, mlp_ratio=4, num_heads=HEADS, patch_size=16, qkv_bias=True,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), use_rel_pos=True, global_attn_indexes=GLOBAL_BLOCKS,
            window_size=14, out_chans=256, adapter_train=True,
        )  # fmt: skip
        prompts = modeling.PromptEncoder(
            embed_dim=256, image_embedding_size=(SIZE // 16,) * 2, input_image_size=(SIZE, SIZE), mask_in_chans=16
        )
        decoder = modeling.MaskDecoder(
            num_multimask_outputs=3,
            transformer=modeling.TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8),
            transformer_dim=256,
        )
        sam = modeling.Sam(encoder, prompts, decoder).eval()
        sam.load_state_dict(seeded_state(), strict=False)
        missing = set(sam.state_dict()) - set(seeded_state()) - {"pixel_mean", "pixel_std"}
        assert not missing, missing
        embedding = sam.image_encoder(seeded_pixels())
        logits = their_answer(sam, embedding, BOX, None, best_of_three=False)
    recorded = {"embedding": embedding.flatten()[::STEP].clone(), "box": logits.flatten()[::STEP].clone()}
    save_file(recorded, options.target)


if __name__ == "__main__":
    main()
