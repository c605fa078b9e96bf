"""What the panel says about corrections: what is computed again, what stands, and what was done."""

from __future__ import annotations

from collections.abc import Iterable

from slicer.i18n import tr as _

from medsam2_protocol.messages import Done
from MedSAM2SlicerLib import Sentences


def nothingToGoFrom() -> str:
    return _("Draw a box around the object first (B), or click into it (P).")


def isApproved() -> str:
    return _("This lesion is approved, so nothing in it changes. Withdraw the approval to go on.")


def isKept(axis: str, index: int, isLocked: bool) -> str:
    name = Sentences.sliceName(axis, index)
    if isLocked:
        return _("Slice {slice} is locked, so prompts change nothing there. Release it to correct it.").format(
            slice=name
        )
    text = _("Slice {slice} was edited by hand, so prompts change nothing there. Release it to let them.")
    return text.format(slice=name)


def ofStart(plan) -> str:
    if not plan.isCorrection:
        return Sentences.ofPropagation(plan.used, plan.drawn)
    text = _("Correcting: {slices} are computed again, nothing else changes.")
    return text.format(slices=between(plan.axis, plan.slices))


def ofDone(propagation, end: Done, states) -> str:
    """`states` as they are now; the slices that hold something are named, since their ends are to be checked."""
    plan = propagation.plan
    if plan.isCorrection:
        text = _("Recomputed {slices} in {seconds:.1f} s. Nothing else changed.")
        return text.format(slices=between(plan.axis, propagation.touched), seconds=propagation.seconds)
    ends = (min(states.marks), max(states.marks)) if states.marks else propagation.touched
    text = _("Done in {seconds:.1f} s: the lesion is on {slices}. Check the first and the last slices.")
    sentences = [text.format(slices=between(plan.axis, ends), seconds=end.seconds)]
    if propagation.states.kept:
        text = _("Locked or edited slices stand as they were: {slices}.")
        sentences.append(text.format(slices=listed(plan.axis, propagation.states.kept)))
    if propagation.cleared:
        text = _("Cleared, since the object was not followed there any more: {slices}.")
        sentences.append(text.format(slices=listed(plan.axis, propagation.cleared)))
    return " ".join(sentences)


def ofKept(states) -> str:
    """`states` of what came of a run that did not reach its end."""
    sentences = [_("What came was kept. Ctrl+Z takes it back.")]
    if states.provisional:
        text = _("Only looked at roughly: {slices}. Space follows them slice by slice.")
        sentences.append(text.format(slices=listed(states.axis, states.provisional)))
    return " ".join(sentences)


def between(axis: str, ends: tuple[int, int]) -> str:
    first, last = ends
    if first == last:
        return Sentences.sliceName(axis, first)
    names = Sentences.sliceName(axis, first), Sentences.sliceName(axis, last)
    return _("{first} to {last}").format(first=names[0], last=names[1])


def listed(axis: str, indices: Iterable[int], most: int = 6) -> str:
    found = sorted(indices)
    text = ", ".join(Sentences.sliceName(axis, index) for index in found[:most])
    return text if len(found) <= most else f"{text}, …"
