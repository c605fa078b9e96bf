"""`medsam2 models`: which models there are, what each is made of, and how they come here and go again.

Nothing is downloaded but by `download`, and weights whose licence restricts their use only with `--accept-licence`.
`--json` is for programs: a list as one array, the progress of a download as one object a line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

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
)
from medsam2_engine.models import (
    ModelEntry,
    all_models,
    expected_files,
    find_checkpoint,
    find_model,
    is_installed,
    user_models,
)
from medsam2_engine.user_folders import cache_folder, models_folder
from medsam2_protocol.tagged import to_jsonable

MISSING = "not published"


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
        actions.add_parser(name, help=text).add_argument("id", help="the model's id, for example embedded")
    _add_download(actions.add_parser("download", help="fetch a model from its authors, or from a mirror"))
    _add_add(actions.add_parser("add", help="copy a model from a disk: a listed one, your own, or an adapter"))
    return parser


def _add_download(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", help="the model's id")
    parser.add_argument("--accept-licence", action="store_true", help="you have read the licence, and keep to it")
    parser.add_argument("--mirror", metavar="URL", default=os.environ.get(MIRROR_VARIABLE, ""), help="fetch from here")
    parser.add_argument("--json", action="store_true", help="progress as one JSON object a line")


def _add_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help=".pt, .pth or .safetensors, or a folder")
    parser.add_argument("--id", help="a listed model, or the name of your own")
    parser.add_argument("--title", default="", help="shown in lists")
    parser.add_argument("--image-size", type=int, default=0, metavar="N", help="pixels the model was trained on")
    parser.add_argument("--base", default="", metavar="ID", help="the model that an adapter is for")


def _run(arguments: argparse.Namespace) -> ExitCode:
    if arguments.action in (None, "list"):
        as_json = arguments.action is not None and arguments.json
        print(_as_json() if as_json else "\n".join(_line(entry) for entry in all_models()))
        return ExitCode.OK
    if arguments.action == "add":
        print(_added(arguments))
        return ExitCode.OK
    entry = find_model(arguments.id)
    if arguments.action == "download":
        return _download(entry, arguments)
    if arguments.action == "remove":
        print(f"{entry.id}: {remove_model(entry)} was deleted.")
    else:
        print(_description(entry) if arguments.action == "info" else _verified(entry))
    return ExitCode.OK


def _download(entry: ModelEntry, arguments: argparse.Namespace) -> ExitCode:
    if entry.is_consent_needed and not arguments.accept_licence:
        raise NoSuchModel(
            f"{entry.id} is under this licence: {entry.licence}. {entry.licence_note} If you keep to it, add "
            "--accept-licence."
        )
    if is_installed(entry):
        print(_verified(entry))
        return ExitCode.OK
    try:
        folder = download_model(entry, arguments.mirror, _JsonProgress() if arguments.json else _LineProgress())
    except (DownloadCancelled, KeyboardInterrupt):
        print("\nmedsam2: stopped. What has arrived is kept; the same command goes on from there.", file=sys.stderr)
        return ExitCode.INTERRUPTED
    if not arguments.json:
        print(f"{entry.id}: now in {folder}")
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


def _added(arguments: argparse.Namespace) -> str:
    path: Path = arguments.path
    if not path.exists():
        raise NoSuchModel(f"There is no file or folder {path}.")
    listed = _listed_for(path, arguments.id)
    if listed:
        return f"{listed.id}: now in {add_listed(listed, path)}"
    if not arguments.id:
        raise NoSuchModel("This is none of the listed models. Name it with --id, in small letters, digits and hyphens.")
    entry, facts = _own(path, arguments)
    folder = add_own(path, entry)
    return f"{entry.id}: now in {folder}\n{facts}"


def _listed_for(path: Path, model_id: str | None) -> ModelEntry | None:
    if model_id:
        own = user_models()
        return next((entry for entry in all_models() if entry.id == model_id and entry not in own), None)
    return listed_with_content(path) if path.is_file() else None


def _own(path: Path, arguments: argparse.Namespace) -> tuple[ModelEntry, str]:
    """The entry for a user's model, after it was loaded once. torch is imported only here."""
    from medsam2_engine.recognition import recognise_adapter, recognise_checkpoint

    if path.is_dir() and (path / ADAPTER_FILES[0]).is_file():
        recognise_adapter(path, arguments.base)
        size = find_model(arguments.base).input_policy.size
        entry = own_entry(arguments.id, arguments.title, "sam2", "", size, arguments.base)
        return entry, f"An adapter for {arguments.base}."
    found = recognise_checkpoint(path, arguments.image_size)
    entry = own_entry(arguments.id, arguments.title, found.backend, found.architecture, found.image_size)
    return entry, found.summary


def _as_json() -> str:
    entries = [
        to_jsonable(entry)
        | {"installed": is_installed(entry), "size": entry.size, "downloadable": entry.is_downloadable}
        for entry in all_models()
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False)


def _line(entry: ModelEntry) -> str:
    state = "installed" if is_installed(entry) else "not installed"
    size = f"{entry.size / 1e6:7.1f} MB" if entry.size else "    ? MB  "
    return f"{entry.id:<24} {state:<14} {size}  {entry.title}"


def _verified(entry: ModelEntry) -> str:
    folder = find_checkpoint(entry)
    expected = expected_files(entry, folder)
    files = "\n".join(f"  {file.sha256}  {file.name}" for file in expected)
    word = "published" if all(file.sha256 for file in entry.files) else "first received (no checksum is published)"
    return f"{entry.id}: all {len(expected)} files in {folder} are as {word}.\n{files}"


def _description(entry: ModelEntry) -> str:
    policy = entry.input_policy
    crop = f", {policy.crop_over_box:g} times the box" if policy.crop_over_box else ""
    facts = {
        "Id": entry.id,
        "Title": entry.title,
        "Purpose": entry.purpose,
        "Installed": "yes" if is_installed(entry) else "no",
        "Adapts": entry.base,
        "Input": f"{policy.kind.replace('_', ' ')}, {policy.size} x {policy.size} pixels{crop}",
        "Licence": f"{entry.licence}. {entry.licence_note}",
        "Trained on": "\n".join(f"{data.name}: {data.licence}" for data in entry.training_data),
        "Citation": entry.citation,
        "Files": "\n".join(_file(entry)),
        "Folder": str(models_folder() / entry.id),
        "Cache": str(cache_folder()),
    }
    return "\n".join(_fact(name, text) for name, text in facts.items() if text)


def _file(entry: ModelEntry) -> list[str]:
    return [
        f"{file.name}, {file.size or MISSING} bytes, sha256 {file.sha256 or MISSING}"
        + (f"\n{file.url}" if file.url else "")
        for file in entry.files
    ]


def _fact(name: str, text: str) -> str:
    wrapped = [part for line in text.splitlines() for part in textwrap.wrap(line, 100, subsequent_indent="  ")]
    return "\n".join(f"{label:<12}{part}" for label, part in zip([name] + [""] * len(wrapped), wrapped, strict=False))
