"""Random weights from which a SAM 2 learns to use its memory; with the usual ones a small model ignores it.

What failed without each of these, measured while the first embedded model was made:
* Hiera has no last norm. Its map at stride 16 grew a hundredfold, and prompts and memories, which are about 1, drowned:
  so residual branches begin small, and the map begins with mean 0 and deviation 1 (and is held there, `playing`).
* Memory attention has to find the same place on another slice before anything else can be learnt: constant biases of
  its queries and keys on the fastest turning pairs make it look there at step 0.
* The two-way transformer's answers to the frame began so large and even that they wiped out its structure.
* Layer scales, codes of time and pointers of absence are zero in a model made for a checkpoint.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medsam2_engine.model.memory_attention import RotaryAttention
from medsam2_engine.model.sam2 import Sam2

LOCALITY = (3.6, 2.5)  # bias by layer; the last value for all further layers. 3.6 puts 83 % on the same place of 8 x 8
LOCAL_PAIRS = 4  # per axis
SMALL, SMALLER = 0.5, 0.3  # gains of what is added to a residual stream


@torch.no_grad()
def initialise(model: Sam2, pixels: Tensor, seed: int) -> None:
    """Overwrite all weights. pixels: (B, 3, S, S), typical frames, by which the map is scaled."""
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    _spread(model)
    _wake(model)
    _keep_residuals_small(model)
    _look_at_the_same_place(model)
    _scale_map(model, pixels)
    torch.set_rng_state(state)


def _spread(model: Sam2) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.5)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
        if getattr(module, "bias", None) is not None and isinstance(module.bias, Tensor):
            nn.init.zeros_(module.bias)


def _wake(model: Sam2) -> None:
    """What is zero by default."""
    trunk = model.image_encoder.trunk
    for parameter in (trunk.pos_embed, trunk.pos_embed_window):
        nn.init.normal_(parameter, std=0.02)
    for embedding in (model.no_mem_embed, model.no_mem_pos_enc, model.no_obj_ptr, model.maskmem_tpos_enc):
        nn.init.normal_(embedding, std=0.1)
    if model.no_obj_embed_spatial is not None:
        nn.init.normal_(model.no_obj_embed_spatial, std=0.1)
    for name, parameter in model.named_parameters():
        if name.endswith(".gamma"):
            nn.init.constant_(parameter, 0.1)
    nn.init.constant_(model.mask_downsample.weight, 1 / 16)
    nn.init.constant_(model.sam_mask_decoder.pred_obj_score_head.get_parameter("layers.2.bias"), 0.5)


def _keep_residuals_small(model: Sam2) -> None:
    writers = {
        model.image_encoder.trunk.blocks: ((".attn.proj", ".mlp.layers.1"), SMALL),
        model.sam_mask_decoder.transformer: (("out_proj", "mlp.layers.1"), SMALLER),
    }
    for part, (endings, gain) in writers.items():
        for name, module in part.named_modules():
            if isinstance(module, nn.Linear) and name.endswith(endings):
                nn.init.xavier_uniform_(module.weight, gain)


def _look_at_the_same_place(model: Sam2) -> None:
    for index, layer in enumerate(model.memory_attention.layers):
        attention = layer.get_submodule("cross_attn_image")
        assert isinstance(attention, RotaryAttention)
        bias = torch.zeros_like(attention.q_proj.bias)
        half = len(bias) // 2
        for start in (0, half):
            bias[start : start + 2 * LOCAL_PAIRS] = LOCALITY[min(index, len(LOCALITY) - 1)]
        for projection in (attention.q_proj, attention.k_proj):
            nn.init.xavier_uniform_(projection.weight, SMALLER)
            projection.bias.copy_(bias)


def _scale_map(model: Sam2, pixels: Tensor) -> None:
    """The two laterals that make up the map at stride 16, so that it has mean 0 by channel and deviation 1."""
    coarse = model.encode(pixels).coarse
    mean = coarse.mean(dim=(0, 2, 3))
    deviation = (coarse - mean[:, None, None]).std()
    coarsest, coarser = (model.image_encoder.neck.convs[index].get_submodule("conv") for index in (0, 1))
    assert isinstance(coarsest, nn.Conv2d)
    assert isinstance(coarser, nn.Conv2d)
    assert coarser.bias is not None
    coarser.bias.sub_(mean)
    for lateral in (coarsest, coarser):
        lateral.weight.div_(deviation)
        if lateral.bias is not None:
            lateral.bias.div_(deviation)
