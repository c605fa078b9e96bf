"""`medsam2 models`: which models there are, what each is made of, and how they come here and go again.

Nothing is downloaded but by `download`, and weights whose licence restricts their use only with `--accept-licence`.
`--json` is for programs: a list as one array, the progress of a download as one object a line, and the end of a command
as one object with `end`, what it is about, and `text`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsam2_engine import models_answers
from medsam2_engine.download import DownloadCancelled
from medsam2_engine.errors import NoSuchModel
from medsam2_engine.exit_codes import ExitCode, run_guarded
from medsam2_engine.model_store import (
    ADAPTER_FILES,
    MIRROR_VARIABLE,
    add_listed,
    add_own,
    download_model,
    listed_with_content,
    own_entry,
    remove_model,
    whole,
)
from medsam2_engine.models import CHANNELS, ModelEntry, all_models, find_model, is_installed, user_models
from medsam2_engine.models_answers import Answer
from medsam2_engine.user_folders import models_folder

if TYPE_CHECKING:
    from medsam2_engine.recognition import Recognised

FOR_PROGRAMS = "for programs: one JSON object a line"


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    return run_guarded(lambda: _run(arguments), arguments.debug)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="medsam2 models",
        description="The models that medsam2 knows.",
        epilog=f"Downloaded and added models lie in {models_folder()} (set MEDSAM2_MODELS for another folder).",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", help="without one: list")
    listing = actions.add_parser("list", help="one line for each model")
    listing.add_argument("--json", action="store_true", help="everything, as one JSON array")
    for name, text in (
        ("info", "purpose, licence, training data and files of one model"),
        ("verify", "check size and SHA-256 of its files"),
        ("remove", "delete a downloaded or added model"),
    ):
        about = actions.add_parser(name, help=text)
        about.add_argument("id", help="the model's id, for example embedded")
        if name != "info":
            about.add_argument("--json", action="store_true", help=FOR_PROGRAMS)
    _add_download(actions.add_parser("download", help="fetch a model from its authors, or from a mirror"))
    _add_add(actions.add_parser("add", help="copy a model from a disk: a listed one, your own, or an adapter"))
    recognise = actions.add_parser("recognise", help="say what a file or folder is, and add nothing")
    _add_path(recognise)
    return parser


def _add_download(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", help="the model's id")
    parser.add_argument("--accept-licence", action="store_true", help="you have read the licence, and keep to it")
    parser.add_argument("--mirror", metavar="URL", default=os.environ.get(MIRROR_VARIABLE, ""), help="fetch from here")
    parser.add_argument("--json", action="store_true", help=f"{FOR_PROGRAMS}, progress among them")


def _add_add(parser: argparse.ArgumentParser) -> None:
    _add_path(parser)
    parser.add_argument("--id", help="a listed model, or the name of your own")
    parser.add_argument("--title", default="", help="shown in lists")
    parser.add_argument("--base", default="", metavar="ID", help="the model that an adapter is for")
    parser.add_argument(
        "--input",
        choices=CHANNELS,
        default="",
        help="the three channels it was trained on: the slice three times, or between its neighbours",
    )


def _add_path(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help=".pt, .pth or .safetensors, or a folder")
    parser.add_argument("--image-size", type=int, default=0, metavar="N", help="pixels the model was trained on")
    parser.add_argument("--json", action="store_true", help=FOR_PROGRAMS)


def _run(arguments: argparse.Namespace) -> ExitCode:
    if arguments.action in (None, "list"):
        as_json = arguments.action is not None and arguments.json
        print(models_answers.list_as_json() if as_json else models_answers.list_as_text())
        return ExitCode.OK
    if arguments.action == "download":
        return _download(find_model(arguments.id), arguments)
    if arguments.action == "info":
        print(models_answers.description(find_model(arguments.id)))
    else:
        print(_ANSWERS[arguments.action](arguments).line(arguments.json))
    return ExitCode.OK


def _download(entry: ModelEntry, arguments: argparse.Namespace) -> ExitCode:
    if is_installed(entry) or not entry.is_downloadable:
        print(models_answers.verified(entry).line(arguments.json))
        return ExitCode.OK
    if entry.is_consent_needed and not arguments.accept_licence:
        raise NoSuchModel(
            f"{entry.id} is under this licence: {entry.licence}. {entry.licence_note} If you keep to it, add "
            "--accept-licence."
        )
    try:
        folder = download_model(entry, arguments.mirror, _JsonProgress() if arguments.json else _LineProgress())
    except (DownloadCancelled, KeyboardInterrupt):
        print("\nmedsam2: stopped. What has arrived is kept; the same command goes on from there.", file=sys.stderr)
        return ExitCode.INTERRUPTED
    print(models_answers.installed(entry, folder).line(arguments.json))
    return ExitCode.OK


class _LineProgress:
    """One line that is written over, where somebody watches."""

    def __call__(self, done: int, total: int) -> None:
        if sys.stderr.isatty():
            whole = f" of {total / 1e6:.1f}" if total else ""
            print(f"\r{done / 1e6:8.1f}{whole} MB", end="", file=sys.stderr, flush=True)


class _JsonProgress:
    """A line for every per cent, or every megabyte where the total is not known."""

    def __init__(self) -> None:
        self._said = -1

    def __call__(self, done: int, total: int) -> None:
        step = done // max(total // 100, 1 << 16) if total else done // 1_000_000
        if step > self._said or done == total:
            self._said = step
            print(json.dumps({"done": done, "total": total}), flush=True)


def _verified(arguments: argparse.Namespace) -> Answer:
    return models_answers.verified(find_model(arguments.id))


def _removed(arguments: argparse.Namespace) -> Answer:
    entry = find_model(arguments.id)
    return models_answers.removed(entry, remove_model(entry))


def _added(arguments: argparse.Namespace) -> Answer:
    path = _existing(arguments.path)
    listed = _listed_for(path, arguments.id)
    if listed:
        return models_answers.added(listed, add_listed(listed, path))
    if not arguments.id:
        raise NoSuchModel(
            "This is none of the listed models. Give it a name (`--id`), in small letters, digits and hyphens."
        )
    entry, facts = _own(path, arguments)
    folder = add_own(path, entry)
    return models_answers.added(find_model(entry.id), folder, facts)


def _recognised(arguments: argparse.Namespace) -> Answer:
    path = _existing(arguments.path)
    listed = _listed_for(path, None)
    if listed:
        facts = {"kind": "listed", "id": listed.id, "title": listed.title}
        return Answer("recognised", f"This is {listed.title}, as its authors published it.", facts)
    if _is_adapter(path):
        return Answer("recognised", _adapter(path), {"kind": "adapter"})
    from medsam2_engine.recognition import recognise_checkpoint

    found = recognise_checkpoint(path, arguments.image_size)
    return Answer("recognised", found.summary, _checkpoint_facts(found, path))


def _checkpoint_facts(found: Recognised, path: Path) -> dict[str, Any]:
    return {"kind": "checkpoint", "image_size": found.image_size, "says_size": path.is_dir()}


_ANSWERS = {"verify": _verified, "remove": _removed, "add": _added, "recognise": _recognised}


def _existing(path: Path) -> Path:
    if not path.exists():
        raise NoSuchModel(f"There is no file or folder {path}.")
    return whole(path)


def _listed_for(path: Path, model_id: str | None) -> ModelEntry | None:
    if model_id:
        own = user_models()
        return next((entry for entry in all_models() if entry.id == model_id and entry not in own), None)
    return listed_with_content(path) if path.is_file() else None


def _own(path: Path, arguments: argparse.Namespace) -> tuple[ModelEntry, str]:
    """The entry for a user's model, after it was loaded once. torch is imported only here."""
    from medsam2_engine.recognition import recognise_adapter, recognise_checkpoint

    if _is_adapter(path):
        recognise_adapter(path, arguments.base)
        policy = find_model(arguments.base).input_policy
        entry = own_entry(arguments.id, arguments.title, "sam2", "", policy, arguments.base)
        return entry, f"An adapter for {arguments.base}."
    found = recognise_checkpoint(path, arguments.image_size)
    policy = replace(found.policy, channels=arguments.input) if arguments.input else found.policy
    entry = own_entry(arguments.id, arguments.title, found.backend, found.architecture, policy)
    return entry, found.summary


def _is_adapter(path: Path) -> bool:
    return path.is_dir() and (path / ADAPTER_FILES[0]).is_file()


def _adapter(path: Path) -> str:
    from medsam2_engine.adapters import read_adapter
    from medsam2_engine.model.errors import ModelError

    try:
        count = len(read_adapter(path).factors)
    except ModelError as error:
        raise NoSuchModel(str(error)) from error
    return f"Recognised as a LoRA adapter of {count} layers. Name the model it was trained on (`--base`)."
