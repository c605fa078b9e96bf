"""What to do where memory has run out. It imports nothing, so that tests of the panel say what the engine says."""

from __future__ import annotations

EMBEDDED = "embedded"


def too_little_memory(model: str, is_gpu_tried: bool) -> str:
    """A sentence for people about a model, or about no model ("").

    `is_gpu_tried`: memory ran out on a GPU first; the engine then tries the CPU by itself.
    """
    where = ", neither on the GPU nor on the CPU, which was tried after it" if is_gpu_tried else ""
    return f"There is not enough memory{where}. {_advice(model)} The prompts are kept."


def _advice(model: str) -> str:
    if not model:
        return "Close other programs, or work on a cropped volume."
    if model == EMBEDDED:
        return "This is the smallest model: close other programs, or work on a cropped volume, and try again."
    return "Choose a smaller model, or close other programs and try again."
