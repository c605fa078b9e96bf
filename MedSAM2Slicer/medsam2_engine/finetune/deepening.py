"""A trained model with more blocks in its image encoder, which says just what it said before.

A new block comes last in its stage and begins with nothing to add: the layers that write to the residual stream are
zero, and take their first steps from there (after Net2Net, Chen et al., arXiv:1511.05641).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import nn

from medsam2_engine.model.config import HieraConfig
from medsam2_engine.model.sam2 import Sam2

WRITERS = ("attn.proj", "mlp.layers.1")
BLOCKS = "image_encoder.trunk.blocks"

Depth = tuple[int, int, int, int]


def deepened(model: Sam2, depth: Depth) -> Sam2:
    """The same model with so many blocks in each stage; itself if it has them already.

    Raises:
        ValueError: a stage would lose blocks.
    """
    hiera = model.config.hiera
    if hiera.blocks == depth:
        return model
    origins = block_origins(hiera.blocks, depth)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        deeper = Sam2(replace(model.config, hiera=_deepened(hiera, depth, origins)))
    others = {name: value for name, value in model.state_dict().items() if not name.startswith(f"{BLOCKS}.")}
    deeper.load_state_dict(others, strict=False)
    for number, origin in enumerate(origins):
        block = deeper.get_submodule(f"{BLOCKS}.{number}")
        if origin is None:
            _silence(block)
        else:
            block.load_state_dict(model.get_submodule(f"{BLOCKS}.{origin}").state_dict())
    return deeper.eval()


def deepest(depths: Iterable[Depth]) -> Depth:
    """As many blocks in each stage as the one with the most of them has there."""
    one, two, three, four = (max(counts) for counts in zip(*depths, strict=True))
    return one, two, three, four


def block_origins(blocks: Depth, depth: Depth) -> list[int | None]:
    """For every block of the deeper trunk which one it was, None for a new one."""
    origins: list[int | None] = []
    first = 0
    for had, has in zip(blocks, depth, strict=True):
        if has < had:
            raise ValueError(f"Blocks {blocks} cannot become {depth}: a stage would lose some.")
        origins += [*range(first, first + had), *[None] * (has - had)]
        first += had
    return origins


def _deepened(hiera: HieraConfig, depth: Depth, origins: list[int | None]) -> HieraConfig:
    """A new block looks at the whole map where the one before it does."""
    found: list[int] = []
    for number, origin in enumerate(origins):
        if origin in hiera.global_blocks or (origin is None and number - 1 in found):
            found.append(number)
    return replace(hiera, blocks=depth, global_blocks=tuple(found))


@torch.no_grad()
def _silence(block: nn.Module) -> None:
    for name in WRITERS:
        writer = block.get_submodule(name)
        assert isinstance(writer, nn.Linear)
        nn.init.zeros_(writer.weight)
        nn.init.zeros_(writer.bias)
