"""The command `medsam2`: finds the subcommand and imports only that one, so that help and mistakes cost no torch."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """A subcommand: `module` has a `main(argv) -> int`."""

    module: str
    help: str


COMMANDS = {
    "segment": Command("medsam2_engine.segment_command", "segment a volume from boxes, points or masks"),
    "distill": Command("medsam2_engine.finetune.distill_command", "let a large model teach a small one"),
    "finetune": Command("medsam2_engine.finetune.command", "train a model further on your own segmented volumes"),
    "models": Command("medsam2_engine.models_command", "list, describe and verify models"),
    "check": Command("medsam2_engine.check_command", "say whether this Python can run the engine, and on what"),
    "worker": Command("medsam2_engine.worker", "serve a host over stdin and stdout (started by 3D Slicer)"),
}


def main(argv: Sequence[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else list(argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return 0 if arguments else 2
    if arguments[0] not in COMMANDS:
        print(f"medsam2: there is no command {arguments[0]!r}.\n\n{_usage()}", file=sys.stderr)
        return 2
    run: Callable[[Sequence[str]], int] = importlib.import_module(COMMANDS[arguments[0]].module).main
    return run(arguments[1:])


def _usage() -> str:
    lines = "\n".join(f"  {name:<10} {command.help}" for name, command in COMMANDS.items())
    return (
        "usage: medsam2 COMMAND ...\n\n"
        "A box on one slice becomes a 3D segment.\n\n"
        f"commands:\n{lines}\n\n"
        "medsam2 COMMAND --help explains one of them."
    )


if __name__ == "__main__":
    sys.exit(main())
