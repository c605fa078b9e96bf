"""One line of the model list as `medsam2 models list --json` gives it: what a person needs to decide what to get."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import urlsplit

from medsam2_protocol.messages import ModelInfo


@dataclass(frozen=True)
class ListedModel:
    """`size` in bytes, 0 where nobody published it; `place` is the folder it lies in, or would.

    `isOwn`: the user added it. `base` is the model that an adapter is for. `isRestricted`: its licence has to be
    accepted before a download. `hosts` are the computers its authors keep it on.
    `weightsBytes` are those of all that is loaded, of an adapter's base too.
    """

    id: str
    title: str
    purpose: str
    licence: str
    licenceNote: str
    size: int
    place: str
    isInstalled: bool
    isDownloadable: bool
    isRemovable: bool
    isOwn: bool
    isRestricted: bool
    hasChecksum: bool
    hosts: tuple[str, ...]
    base: str
    takesAdapters: bool
    weightsBytes: int = 0

    def info(self) -> ModelInfo:
        """As the engine's own greeting has it."""
        return ModelInfo(self.id, self.title, self.purpose, self.licence, self.isInstalled, self.weightsBytes)


def listedModels(text: str) -> Optional[tuple[ListedModel, ...]]:
    """None if that is no list."""
    try:
        return tuple(_model(entry) for entry in json.loads(text))
    except (ValueError, TypeError, KeyError):
        return None


def _model(entry: dict[str, Any]) -> ListedModel:
    files = entry["files"]
    return ListedModel(
        id=str(entry["id"]),
        title=str(entry["title"]),
        purpose=str(entry["purpose"]),
        licence=str(entry["licence"]),
        licenceNote=str(entry["licence_note"]),
        size=int(entry["size"]),
        place=str(entry["place"]),
        isInstalled=bool(entry["installed"]),
        isDownloadable=bool(entry["downloadable"]) and not entry["own"],
        isRemovable=bool(entry["removable"]),
        isOwn=bool(entry["own"]),
        isRestricted=bool(entry["is_consent_needed"]),
        hasChecksum=all(file["sha256"] for file in files),
        hosts=tuple(sorted({urlsplit(str(file["url"])).hostname or "" for file in files if file["url"]})),
        base=str(entry["base"]),
        takesAdapters=entry["backend"] == "sam2" and not entry["base"],
        weightsBytes=int(entry.get("weights_bytes", 0)),
    )
