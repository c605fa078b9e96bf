"""What a press of Space asks for: everything, or what the corrections since the last propagation change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from slicer.i18n import tr as _

from medsam2_protocol.masks import MaskRegion
from medsam2_protocol.prompts import Prompt, axis_ijk
from MedSAM2SlicerLib.AskedPrompts import BySlice, bases, bySlice, digests, withBases
from MedSAM2SlicerLib.Corrections import Correction, corrections, waiting
from MedSAM2SlicerLib.CorrectionSentences import nothingToGoFrom
from MedSAM2SlicerLib.PromptMarkups import axisOf, readPrompt
from MedSAM2SlicerLib.PropagationOptions import NOT_SET, NoSuchRange, Reach, reachAlong
from MedSAM2SlicerLib.SegmentChoice import SegmentChoice
from MedSAM2SlicerLib.SegmentSlices import SegmentSlices, latticeOf
from MedSAM2SlicerLib.SegmentStates import SegmentStates
from MedSAM2SlicerLib.Sentences import sliceName
from MedSAM2SlicerLib.SliceStates import Settings, Slices, SliceStates
from MedSAM2SlicerLib.ZoomChoice import chosenZoom

ANEW, RELEASE = "anew", "release"


class CannotPropagate(RuntimeError):
    """The sentence says why. `remedy` is what would help: propagate anew, release the kept slices, or nothing."""

    def __init__(self, sentence: str, remedy: str = "", isError: bool = True) -> None:
        super().__init__(sentence)
        self.remedy = remedy
        self.isError = isError


@dataclass(frozen=True)
class Step:
    """One request. `corrected` None: it is about all slices. Nothing outside `slices` may change."""

    corrected: Optional[int]
    reach: Reach
    slices: range
    fence: Optional[int] = None


@dataclass(frozen=True)
class Plan:
    """One propagation of the chosen segment.

    Attributes:
        states: as they are before it, along its axis.
        digests: of the prompts there are, by slice.
        starts: masks that corrections start from, by slice.
        erased: slices along another axis that an earlier propagation wrote; they go first.
        drawn, used: prompts there are along whatever axis, and along this one.
    """

    axis: str
    states: SliceStates
    prompts: tuple[Prompt, ...]
    digests: Mapping[int, int]
    starts: Mapping[int, MaskRegion]
    reach: Reach
    settings: Settings
    steps: tuple[Step, ...]
    erased: tuple[str, Slices]
    drawn: int
    used: int

    @property
    def isCorrection(self) -> bool:
        return self.steps[0].corrected is not None

    @property
    def slices(self) -> tuple[int, int]:
        """The lowest and the highest slice that may change."""
        return min(step.slices.start for step in self.steps), max(step.slices.stop - 1 for step in self.steps)


def planOf(choice: SegmentChoice, place: SegmentStates, everything: bool) -> Plan:
    """
    Raises:
        CannotPropagate: nothing to go from, nothing to do, or prompts along another axis than the propagation before.
    """
    nodes = [node for node in choice.promptNodes() if readPrompt(node) is not None]
    states = place.now()
    if not nodes and not states.kept:
        raise CannotPropagate(nothingToGoFrom())
    axis = axisOf(nodes[-1]) if nodes else states.axis
    _checkAxis(states, axis, everything)
    _checkVolume(place)
    prompts = bySlice(choice.promptsAlong(axis), axis)
    count = choice.volumeNode.GetImageData().GetDimensions()[axis_ijk(axis)]
    try:
        reach = reachAlong(choice.parameters, axis, list(prompts), count)
    except NoSuchRange as reason:
        raise CannotPropagate(str(reason)) from None
    erased = ("", frozenset())
    if states.axis != axis:
        erased = (states.axis, states.propagated)
        states = SliceStates(axis=axis, lattice=latticeOf(choice.volumeNode))
    masks = place.masks()
    starts = bases(states, prompts, masks)
    settings = _settings(choice.parameters, reach)
    isWhole = everything or not states.isPropagated
    steps = () if isWhole else _corrections(states, prompts, masks, reach, count)
    if not steps:
        if not isWhole and settings == states.settings and not states.provisional:
            raise _nothingToDo(states, prompts)
        steps = (Step(None, reach, range(count)),)
    sent, used = withBases(prompts, starts, axis), sum(map(len, prompts.values()))
    return Plan(
        axis,
        states,
        sent,
        digests(prompts),
        starts,
        reach,
        settings,
        steps,
        erased,
        len(nodes),
        used,
    )


def keptNow(plan: Plan, step: Step, states: SliceStates) -> Slices:
    """What is sent as kept with a step: for a correction also the keys that were answered before."""
    kept = set(states.kept)
    if step.corrected is not None:
        kept |= {index for index, digest in plan.digests.items() if states.answered.get(index) == digest}
        kept |= {step.fence} - {None}
    return frozenset(kept)


def _settings(parameters, reach: Reach) -> Settings:
    first, last = (NOT_SET if end is None else end for end in (reach.first, reach.last))
    return reach.direction, first, last, parameters.model, parameters.window, chosenZoom(parameters)


def _checkAxis(states: SliceStates, axis: str, everything: bool) -> None:
    if not states.axis or states.axis == axis:
        return
    old, new = states.axis, axis
    if states.kept:
        text = _(
            "{slices} is locked or edited by hand, and a propagation along {new} would cross it. "
            "Draw the prompt in the view along {old}, or release what stands."
        )
        slices = sliceName(old, min(states.kept))
        raise CannotPropagate(text.format(slices=slices, new=new, old=old), RELEASE)
    if states.isPropagated and not everything:
        text = _(
            "The newest prompt lies along {new}, the segment was propagated along {old}. "
            "Draw corrections along {old}, or propagate all again along {new}."
        )
        raise CannotPropagate(text.format(new=new, old=old), ANEW)


def _checkVolume(place: SegmentStates) -> None:
    saved = place.saved()
    if saved.kept and not place.now().axis:
        raise CannotPropagate(
            _("Slices of this segment were locked or edited on another volume. Choose that volume, or release them."),
            RELEASE,
        )


def _corrections(
    states: SliceStates, prompts: BySlice, masks: SegmentSlices, reach: Reach, count: int
) -> tuple[Step, ...]:
    emptyKept = frozenset(index for index in states.kept if masks.region(states.axis, index).is_empty)
    found = corrections(states, digests(prompts), emptyKept, reach, count)
    return tuple(_step(one, Reach(one.direction, reach.first, reach.last)) for one in found)


def _nothingToDo(states: SliceStates, prompts: BySlice) -> CannotPropagate:
    if waiting(states, digests(prompts)):
        return CannotPropagate(_("There is nothing beside the corrected slices that could change."), ANEW, False)
    return CannotPropagate(_("Nothing has changed since the last propagation."), ANEW, False)


def _step(one: Correction, reach: Reach) -> Step:
    return Step(one.index, reach, one.slices, one.fence)
