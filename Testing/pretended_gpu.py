"""A GPU that is not there: its tensors compute on the CPU, but mixing them with tensors of the CPU is an error.

Within `PretendedGpu`, `tensor.to("cuda")` gives a tensor that says its device is "cuda". As on a real GPU, a function
takes tensors of one device only; numbers, tensors without dimensions and indices may come from the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

GPU = torch.device("cuda")
BACK = (Tensor.cpu, Tensor.numpy, Tensor.tolist, Tensor.item)
MAY_MIX = (*BACK, Tensor.to, Tensor.__getitem__, Tensor.__setitem__, Tensor.__repr__, Tensor.copy_)
MODULE_MOVES = ("_parse_to", "_has_compatible_shallow_copy_type")  # asked by Module.to; they compute nothing


class OnGpu(Tensor):
    """A tensor of the pretended GPU."""


class TwoDevices(Exception):
    """Tensors of two devices met in one function."""


class PretendedGpu(TorchFunctionMode):
    """Pretends while it is entered."""

    def __enter__(self) -> Any:
        self._overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        return super().__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        torch.__future__.set_overwrite_module_params_on_conversion(self._overwrite)
        super().__exit__(kind, error, at)

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [value for value in tree_flatten((args, kwargs))[0] if isinstance(value, Tensor)]
        on_gpu = [isinstance(tensor, OnGpu) for tensor in tensors]
        name = getattr(function, "__name__", "")
        if name in MODULE_MOVES:
            return function(*args, **kwargs)
        if name == "__get__" and function == Tensor.device.__get__:  # type: ignore[attr-defined]
            return GPU if on_gpu[0] else torch.device("cpu")
        mixed = [tensor.dim() for tensor, there in zip(tensors, on_gpu, strict=True) if not there]
        if any(on_gpu) and any(mixed) and function not in MAY_MIX:
            raise TwoDevices(f"{name or function}: tensors of the GPU and of the CPU")
        target = _target(function, args, kwargs)
        args, kwargs = tree_map(_plain, (_without_gpu(args), _without_gpu(kwargs)))
        result = function(*args, **kwargs)
        stays = any(on_gpu) and function not in BACK and target != "cpu"
        return tree_map(_there, result) if stays or target == "cuda" else result


def _plain(value: Any) -> Any:
    return value.as_subclass(Tensor) if isinstance(value, OnGpu) else value


def _there(value: Any) -> Any:
    return value.as_subclass(OnGpu) if isinstance(value, Tensor) else value


def _named(value: Any) -> str | None:
    """The device that an argument names."""
    if isinstance(value, torch.device):
        return value.type
    return value if value in ("cuda", "cpu") else None


def _target(function: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """Where the result shall lie, if the call says so."""
    if function == Tensor.cpu:
        return "cpu"
    for value in _values(args, kwargs):
        if function == Tensor.to and isinstance(value, OnGpu) and value is not args[0]:
            return "cuda"
        if not isinstance(value, Tensor) and isinstance(value, (str, torch.device)) and _named(value):
            return _named(value)
    return None


def _values(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[Any]:
    yield from args
    yield from kwargs.values()


def _without_gpu(values: Any) -> Any:
    """The same call for the CPU."""

    def on_cpu(value: Any) -> Any:
        is_gpu = not isinstance(value, Tensor) and isinstance(value, (str, torch.device)) and _named(value) == "cuda"
        return torch.device("cpu") if is_gpu else value

    return tree_map(on_cpu, values)
