"""What the commands tell the shell, and the one place where an exception becomes a sentence for a person."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from enum import IntEnum

from medsam2_engine.errors import (
    BadRequest,
    EngineError,
    MissingPackages,
    NoSuchDevice,
    NoSuchModel,
    TooLittleMemory,
    UnreadableVolume,
    UnwritableResult,
    is_out_of_memory,
)


class ExitCode(IntEnum):
    """Documented in docs/command-line.md; scripts rely on the numbers."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    UNREADABLE = 3
    BAD_PROMPTS = 4
    NO_MODEL = 5
    NOTHING_FOUND = 6
    OUT_OF_MEMORY = 7
    UNWRITABLE = 8
    INTERRUPTED = 130


_CODES: dict[type[EngineError], ExitCode] = {
    BadRequest: ExitCode.BAD_PROMPTS,
    NoSuchDevice: ExitCode.BAD_PROMPTS,
    TooLittleMemory: ExitCode.BAD_PROMPTS,
    MissingPackages: ExitCode.BAD_PROMPTS,
    UnreadableVolume: ExitCode.UNREADABLE,
    NoSuchModel: ExitCode.NO_MODEL,
    UnwritableResult: ExitCode.UNWRITABLE,
}


NOT_ENOUGH_MEMORY = "Not enough memory. Close other programs, or choose --device cpu, a smaller volume or a --range."


def run_guarded(run: Callable[[], ExitCode], is_debug: bool, memory_advice: str = NOT_ENOUGH_MEMORY) -> ExitCode:
    """Run a command; whatever it raises becomes a line on stderr and an exit code. `is_debug` adds the traceback.

    It catches everything: above a command there is only the shell, and a traceback tells its user nothing.
    """
    try:
        return run()
    except KeyboardInterrupt:
        return _report("Interrupted; nothing was written.", ExitCode.INTERRUPTED, is_debug)
    except EngineError as error:
        return _report(str(error), _CODES.get(type(error), ExitCode.INTERNAL), is_debug)
    except Exception as error:
        if is_out_of_memory(error):
            return _report(memory_advice, ExitCode.OUT_OF_MEMORY, is_debug)
        text = f"Internal error: {type(error).__name__}: {error}. Please report it, with the output of --debug."
        return _report(text, ExitCode.INTERNAL, is_debug)


def _report(text: str, code: ExitCode, is_debug: bool) -> ExitCode:
    if is_debug:
        traceback.print_exc()
    print(f"medsam2: {text}", file=sys.stderr)
    return code
