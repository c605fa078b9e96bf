"""What can go wrong for a person, as exceptions. Each message says what happened and what to do next.

EngineError
├── BadRequest        prompts, ranges or options that make no sense for this volume
│   ├── NoSuchDevice  a device that does not work here
│   └── TooLittleMemory  a training that would not fit
├── NoSuchVolume      a volume that is not open
├── UnreadableVolume  a file or folder that is no volume we can read
├── NoSuchModel       a model that is not in the list, not installed, or broken
├── MissingPackages   something that only an extra of the package brings
└── UnwritableResult  a result that cannot be written where it should go
"""

from __future__ import annotations

OUT_OF_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory")  # MPS; CPU; CPU on Windows


class EngineError(Exception):
    """Base of the family; `code` is the `Failed` code on the wire."""

    code = "internal"


class BadRequest(EngineError):
    code = "bad_request"


class NoSuchDevice(BadRequest):
    code = "no_such_device"


class TooLittleMemory(BadRequest):
    code = "too_little_memory"


class NoSuchVolume(EngineError):
    code = "no_such_volume"


class UnreadableVolume(EngineError):
    code = "unreadable"


class NoSuchModel(EngineError):
    code = "no_such_model"


class MissingPackages(EngineError):
    code = "missing_packages"


class UnwritableResult(EngineError):
    code = "unwritable"


def is_out_of_memory(error: Exception) -> bool:
    """Whether Python, a GPU or torch's CPU allocator ran out.

    Asked by name and in words, since torch may not be imported by whoever asks: it raises its own type for CUDA, and a
    RuntimeError for Apple's GPU and for the CPU.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in OUT_OF_MEMORY_WORDS)
