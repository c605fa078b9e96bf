"""`medsam2 models`: which models there are, what each is made of, and whether its files are sound."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence

from medsam2_engine.exit_codes import ExitCode, run_guarded
from medsam2_engine.models import ModelEntry, all_models, find_checkpoint, find_model, is_installed


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    return run_guarded(lambda: _run(arguments), arguments.debug)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="medsam2 models", description="The models that medsam2 knows.")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", help="without one: list")
    actions.add_parser("list", help="one line for each model")
    for name, text in (
        ("info", "purpose, licence, training data and files of one model"),
        ("verify", "check size and SHA-256 of its files"),
    ):
        actions.add_parser(name, help=text).add_argument("id", help="the model's id, for example embedded")
    return parser


def _run(arguments: argparse.Namespace) -> ExitCode:
    if arguments.action in (None, "list"):
        print("\n".join(_line(entry) for entry in all_models()))
        return ExitCode.OK
    entry = find_model(arguments.id)
    print(_description(entry) if arguments.action == "info" else _verified(entry))
    return ExitCode.OK


def _line(entry: ModelEntry) -> str:
    state = "installed" if is_installed(entry) else "not installed"
    return f"{entry.id:<20} {state:<14} {entry.size / 1e6:7.1f} MB  {entry.title}"


def _verified(entry: ModelEntry) -> str:
    folder = find_checkpoint(entry)
    files = "\n".join(f"  {file.sha256}  {file.name}" for file in entry.files)
    return f"{entry.id}: all {len(entry.files)} files in {folder} are as published.\n{files}"


def _description(entry: ModelEntry) -> str:
    policy = entry.input_policy
    crop = f", {policy.crop_over_box:g} times the box" if policy.crop_over_box else ""
    facts = {
        "Id": entry.id,
        "Title": entry.title,
        "Purpose": entry.purpose,
        "Installed": "yes" if is_installed(entry) else "no",
        "Input": f"{policy.kind.replace('_', ' ')}, {policy.size} x {policy.size} pixels{crop}",
        "Licence": f"{entry.licence}. {entry.licence_note}",
        "Trained on": "\n".join(f"{data.name}: {data.licence}" for data in entry.training_data),
        "Citation": entry.citation,
        "Files": "\n".join(f"{file.name}, {file.size} bytes, sha256 {file.sha256}" for file in entry.files),
    }
    return "\n".join(_fact(name, text) for name, text in facts.items())


def _fact(name: str, text: str) -> str:
    wrapped = [part for line in text.splitlines() for part in textwrap.wrap(line, 100, subsequent_indent="  ")]
    return "\n".join(f"{label:<12}{part}" for label, part in zip([name] + [""] * len(wrapped), wrapped, strict=False))
