"""What the panel says about a run: what happened and, if there is something to do, what to do next."""

from __future__ import annotations

import re

from slicer.i18n import tr as _

from medsam2_protocol.messages import Cancelled, End, Failed, MaskChanged


def ofEnd(end: End) -> str:
    """Of a run that left nothing."""
    if isinstance(end, Cancelled):
        return _("Cancelled. The segment is as it was before.")
    return ofFailure(end) if isinstance(end, Failed) else nothingFound()


def ofFailure(failed: Failed) -> str:
    """What happened, as the engine or its owner says it, with what to do next where they do not know."""
    sentence = withoutCommands(failed.message)
    if failed.code in ("worker_died", "worker_stuck"):
        advice = _("Your prompts are kept: try again. If it happens again, choose a smaller model or another device.")
        return f"{sentence} {advice}"
    return sentence


def nothingFound() -> str:
    return _(
        "Nothing was found on any slice, and the segment is as it was before. Move the prompts, add another, or choose "
        "another window."
    )


def ofPreview(mask: MaskChanged) -> str:
    if mask.region.is_empty:
        return _("Nothing was found with these prompts. Move or delete one, or add another.")
    name = sliceName(mask.axis, mask.slice)
    return _("Preview of slice {slice}. Space propagates it, Esc discards it.").format(slice=name)


def ofPropagation(used: int, drawn: int) -> str:
    if used == drawn:
        return _("Propagating…")
    text = _("Propagating from {used} of {drawn} prompts: the others lie along another direction.")
    return text.format(used=used, drawn=drawn)


def withoutCommands(text: str) -> str:
    """Without what the engine adds in brackets for those who type commands."""
    return re.sub(r" ?\(`[^`]*`\)", "", text)


def sliceName(axis: str, index: int) -> str:
    return f"{axis}{index}"
