"""How exactly a model computes: float32, or bfloat16 products where the machine multiplies those faster.

`exact` is float32. `fast` is bfloat16 wherever the machine has it. `auto` is bfloat16 only if a short test finds it at
least `WORTH_IT` times as fast. What is not there falls back to float32: emulated bfloat16 is many times slower.
The user's choice is the environment variable MEDSAM2_PRECISION; without it everything is exact. What bfloat16 changes
is measured in docs/speed.md.

Whatever computes, MEDSAM2_FEATURES=half keeps encoded slices in bfloat16, in half the memory.
"""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Literal, get_args

import torch
import torch.nn.functional as F

from medsam2_engine.errors import BadRequest

logger = logging.getLogger(__name__)
Precision = Literal["exact", "fast", "auto"]
VARIABLE = "MEDSAM2_PRECISION"
KEPT_VARIABLE = "MEDSAM2_FEATURES"
WORTH_IT = 1.5
SAME_PRODUCT = 1e-5  # relative error that float32 itself has; a bfloat16 product in disguise has 1e-3
_TESTED = (512, 768, 768)  # rows, inputs, outputs: the size of layer that most of the time is spent in


def wanted_precision() -> Precision:
    """The user's choice.

    Raises:
        BadRequest: it is none of the three.
    """
    wanted = os.environ.get(VARIABLE, "exact")
    for known in get_args(Precision):
        if wanted == known:
            return known  # type: ignore[no-any-return]
    raise BadRequest(f"{VARIABLE} is {wanted!r}. Set it to exact, fast or auto.")


def wants_half_features() -> bool:
    """Whether the user wants encoded slices in half the memory.

    Raises:
        BadRequest: the choice is neither exact nor half.
    """
    wanted = os.environ.get(KEPT_VARIABLE, "exact")
    if wanted not in ("exact", "half"):
        raise BadRequest(f"{KEPT_VARIABLE} is {wanted!r}. Set it to exact or half.")
    return wanted == "half"


def dtype_for(precision: Precision, device: str) -> torch.dtype:
    """The type in which the large products of a model are computed on a device ("cpu", "cuda", "mps")."""
    if precision == "exact" or not has_bfloat16(device):
        return torch.float32
    if precision == "auto" and device == "cpu" and bfloat16_gain() < WORTH_IT:
        return torch.float32
    return torch.bfloat16


def has_bfloat16(device: str) -> bool:
    """Whether the machine multiplies bfloat16 itself. Apple's GPUs are left exact: nobody has measured them."""
    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    try:
        return device == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a build without oneDNN
        return False


@functools.cache
def bfloat16_gain() -> float:
    """How many times as fast a layer is in bfloat16 on the CPU; takes about 50 ms."""
    layer = _a_layer()
    rounded = tuple(tensor.bfloat16() for tensor in layer)
    gain = _seconds(lambda: F.linear(*layer)) / _seconds(lambda: F.linear(*rounded))
    logger.info("bfloat16 products are %.1f times as fast as float32", gain)
    return gain


@functools.cache
def use_fastest_exact_products() -> bool:
    """Let oneDNN multiply float32 on the CPU where it does so faster than MKL, as on AMD processors with AVX-512.

    The switch ("medium") permits bfloat16 products; where a processor really takes them (AMX) the result is no longer
    float32, and the switch is turned back. True if it stays on.
    """
    layer = _a_layer()
    before = torch.get_float32_matmul_precision()
    reference, slow = F.linear(*layer), _seconds(lambda: F.linear(*layer))
    torch.set_float32_matmul_precision("medium")
    other, fast = F.linear(*layer), _seconds(lambda: F.linear(*layer))
    error = float((other - reference).norm() / reference.norm())
    if error <= SAME_PRODUCT and slow / fast >= 1.2:
        logger.info("float32 products by oneDNN: %.1f times as fast", slow / fast)
        return True
    torch.set_float32_matmul_precision(before)
    return False


def use_exact_products_on_gpu() -> None:
    """No TensorFloat-32 in exact models: torch permits it in convolutions, and the switch for oneDNN in products.

    A model that is loaded for the CPU afterwards tries that switch anew.
    """
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    use_fastest_exact_products.cache_clear()


def _a_layer() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rows, inputs, outputs = _TESTED
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(n, inputs, generator=generator) for n in (rows, outputs))
    return x, weight, torch.zeros(outputs)


def _seconds(compute: Callable[[], object]) -> float:
    compute()
    times = []
    for _ in range(3):
        started = time.perf_counter()
        compute()
        times.append(time.perf_counter() - started)
    return median(times)
