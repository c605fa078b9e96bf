"""Pickled checkpoints once as .safetensors: no pickle is opened twice, and loading is a memory map.

A conversion is named after the SHA-256 of its source and holds it in its header, so a changed source is converted
again, and nothing has to be cleaned up to be right. The folder is a cache: without it everything works, only slower.
"""

from __future__ import annotations

import logging
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from medsam2_engine.atomic_file import replacing
from medsam2_engine.errors import UnwritableResult
from medsam2_engine.model.state_file import read_tensors

logger = logging.getLogger(__name__)
_SOURCE = "source_sha256"


def converted(source: Path, sha256: str, folder: Path) -> Path:
    """The .safetensors file with the tensors of `source`, made now if it is not there; `source` itself if it cannot be
    written, or is one already.

    sha256: of the source, in hexadecimal.
    Raises CheckpointError: the source cannot be read.
    """
    if source.suffix == ".safetensors":
        return source
    target = folder / f"{sha256}.safetensors"
    if _is_conversion_of(target, sha256):
        return target
    tensors = read_tensors(source)
    try:
        _write(tensors, target, sha256)
    except (OSError, UnwritableResult, SafetensorError) as error:
        logger.warning("%s is not kept as .safetensors: %s", source, error)
        return source
    return target


def _write(tensors: dict[str, Tensor], target: Path, sha256: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    own = {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}
    with replacing(target) as temporary:
        save_file(own, temporary, metadata={_SOURCE: sha256})


def _is_conversion_of(path: Path, sha256: str) -> bool:
    """Whether a whole conversion of that source lies there; the header holds the file's length."""
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get(_SOURCE) == sha256
    except (OSError, SafetensorError):
        return False
