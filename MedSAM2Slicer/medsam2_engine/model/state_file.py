"""The tensors of one file, whatever wrapped them; never code, never half of them.

Files come from mail, from sticks and from web pages that needed a login, so what they claim to be is not believed: a
file is told by its first bytes. Pickles are opened with `weights_only=True`. Archives are looked at before they are
unpacked: torch stores tensors as they are, so one that is compressed is not torch's, and may be a bomb. Every refusal
is a `CheckpointError` of one or two sentences with what to do next.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from medsam2_engine.model.errors import CheckpointError

AGAIN = "Download the model again, or choose another one."
# Where training programs put the state dict, in the order in which they are looked for.
CONTAINERS = ("model", "state_dict", "model_state_dict", "model_state", "net")
# What stands before every name when a model was saved inside something else.
_ANCHORS = re.compile(r"(?:^|.*\.)(?=(?:image_encoder\.|vision_encoder\.)[a-z_]+\.)")
# What a damaged pickle may raise besides UnpicklingError, says the pickle module.
_DAMAGE = (RuntimeError, OSError, EOFError, ValueError, LookupError, AttributeError, TypeError, ImportError)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The state dict of a .safetensors, .pt or .pth file, its names without the prefix that a trainer gave them.

    Raises:
        CheckpointError: damaged, unsafe, or not a state dict of plain numbers.
    """
    _refuse_by_first_bytes(path)
    tensors = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    _refuse_odd_tensors(tensors, path)
    return without_prefix(tensors)


def without_prefix(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names without the prefix (`module.`, `model.`, `sam2_model.` ...) that the image encoder's names share.

    Names that do not begin with it stay, and are reported as unexpected by whoever loads the rest.
    """
    prefixes = {match[0] for name in tensors if (match := _ANCHORS.match(name))}
    if len(prefixes) != 1:
        return dict(tensors)
    prefix = prefixes.pop()
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _refuse_by_first_bytes(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist. {AGAIN}") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}). {AGAIN}") from error
    text = start.lstrip().lower()
    if not start:
        raise CheckpointError(f"{path} is empty. {AGAIN}")
    if text.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{path} is a Git LFS pointer, a note where the weights lie. Fetch the weights with `git lfs pull`."
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise CheckpointError(
            f"{path} is a web page, not a checkpoint: the server answered with a page, perhaps for a login. "
            "Download the file itself."
        )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {_first_line(error)}. {AGAIN}") from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    _refuse_bad_archive(path)
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} was not opened: it holds more than weights, and could run foreign code, or it is damaged. "
            "Ask its author for a .safetensors file, or for a .pt file with nothing but {'model': state_dict}."
        ) from error
    except _DAMAGE as error:
        raise CheckpointError(f"{path} is damaged: {_first_line(error)}. {AGAIN}") from error
    return _state_dict(content, path)


def _refuse_bad_archive(path: Path) -> None:
    """Files of torch 1.6 and later are zip archives, their members not compressed."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or was cut short: {_first_line(error)}. {AGAIN}") from error
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise CheckpointError(
            f"{path} is a compressed archive, which torch never writes, and was not unpacked. "
            "Choose the .pt or .safetensors file itself."
        )
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise CheckpointError(f"{path} claims to hold more than its own size, and was not unpacked. {AGAIN}")


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    wrapped = [content.get(name) for name in CONTAINERS] if isinstance(content, dict) else []
    for found in [*wrapped, content]:
        if _is_state_dict(found):
            return {str(key): tensor for key, tensor in found.items()}
    raise CheckpointError(f"{path} has no state dict under 'model', as SAM 2 checkpoints do. Choose another file.")


def _is_state_dict(found: Any) -> TypeGuard[dict[Any, Tensor]]:
    return isinstance(found, dict) and bool(found) and all(isinstance(tensor, Tensor) for tensor in found.values())


def _refuse_odd_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Nothing but finite real numbers, each with memory of its own."""
    for name, tensor in tensors.items():
        if tensor.dim() == 0 and not tensor.is_floating_point():
            continue  # a counter; whoever loads the rest says whether it belongs there
        if tensor.layout != torch.strided or tensor.is_quantized or not tensor.is_floating_point():
            raise CheckpointError(
                f"{path} is not usable: {name} holds {str(tensor.dtype).removeprefix('torch.')} values, not floating "
                "point numbers. Choose the checkpoint before it was quantised or packed."
            )
        if tensor.is_meta or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise CheckpointError(f"{path} claims more values for {name} than it holds. {AGAIN}")
        if not torch.isfinite(tensor).all():
            raise CheckpointError(
                f"{path} is not usable: {name} holds values that are not numbers. Its training failed; choose an "
                "earlier checkpoint."
            )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
