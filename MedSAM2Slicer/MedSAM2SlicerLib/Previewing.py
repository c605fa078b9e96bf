"""One slice of the chosen segment, predicted from all prompts on it and shown in the segment as a preview."""

from __future__ import annotations

from typing import Callable

from slicer.i18n import tr as _

from medsam2_protocol.messages import Done, End, MaskChanged
from medsam2_protocol.prompts import Prompt, shows_object, slice_of_prompt
from MedSAM2SlicerLib import CorrectionSentences, Sentences
from MedSAM2SlicerLib.ApprovedState import isApproved
from MedSAM2SlicerLib.AskedPrompts import bases, bySlice, withBases
from MedSAM2SlicerLib.EngineRuns import EngineRuns
from MedSAM2SlicerLib.News import News
from MedSAM2SlicerLib.OpenChange import OpenChange
from MedSAM2SlicerLib.Preview import Preview
from MedSAM2SlicerLib.PromptMarkups import axisOf, readPrompt, sliceOf
from MedSAM2SlicerLib.Remedy import Remedy
from MedSAM2SlicerLib.SegmentChoice import SegmentChoice
from MedSAM2SlicerLib.SliceStates import SliceStates


class Previewing:
    """A new preview takes the place of the one before. Nothing is asked and nothing written during a propagation."""

    def __init__(self, choice: SegmentChoice, runs: EngineRuns, change: OpenChange, news: News) -> None:
        self._choice = choice
        self._runs = runs
        self._change = change
        self._news = news
        self._preview = Preview()
        self._note = ""
        self.onRelease: Callable[[list[int]], None] = lambda indices: None  # of slices that are kept
        self.onWithdraw: Callable[[], None] = lambda: None  # the lesion's approval

    @property
    def isThere(self) -> bool:
        return self._preview.isThere

    def isOn(self, axis: str, index: int) -> bool:
        """Whether what this slice shows is a preview."""
        mask = self._preview.mask
        return mask is not None and (mask.axis, mask.slice) == (axis, index)

    @property
    def promptNode(self):
        """The prompt that the preview is for, or None."""
        return self._preview.promptNode

    def predict(self, node, note: str = "") -> None:
        """Ask for the slice of one prompt; `note` is said together with the outcome."""
        self.stop()
        self._note = note
        prompt = readPrompt(node)
        if prompt is None:
            self._news.say(_("The prompt lies outside the volume. Move it back or make another one."), isError=True)
            return
        axis, index = axisOf(node), slice_of_prompt(prompt, axisOf(node))
        if self._stands(axis, index):
            return
        prompts = self._asked(axis, index)
        if not any(map(shows_object, prompts)):
            self._news.say(
                _("Click into the object first (P), or draw a box (B): here it is only said what it is not.")
            )
        else:
            self._preview.promptNode = node
            self._ask(prompts, axis, index)

    def predictOn(self, axis: str, index: int) -> bool:
        """That slice, if there are prompts on it; returns whether there are."""
        for node in reversed(self._choice.promptNodes()):
            if (axisOf(node), sliceOf(node)) == (axis, index):
                self.predict(node)
                return True
        return False

    def close(self) -> None:
        """Out of the segment, but known still."""
        self._preview.hide()
        self._change.revert()

    def remove(self) -> None:
        self.close()
        self._preview.forget()

    def stop(self) -> None:
        """What is asked and what is shown."""
        self._runs.drop()
        self.remove()

    def reopen(self) -> None:
        """What was there before a propagation that left nothing."""
        mask = self._preview.mask
        if mask is not None and self._change.open(lambda *place: place == (mask.axis, mask.slice)):
            self._change.write(mask)
            self._show()

    def discard(self) -> None:
        """The preview goes, and the prompt that it came from."""
        node = self._preview.promptNode
        self.remove()
        if node is not None and node.GetScene() is not None:
            node.GetScene().RemoveNode(node)
        self._news.say("")

    def forget(self) -> None:
        """It became a result, or is another scene's."""
        self._preview.forget()

    def _stands(self, axis: str, index: int) -> bool:
        """A slice that is kept is not predicted; says so."""
        place = self._choice.place()
        states = place.now() if place is not None else SliceStates()
        if place is not None and isApproved(place.segment):
            remedy = Remedy(_("Withdraw the approval"), lambda: self.onWithdraw())
            self._news.say(CorrectionSentences.isApproved(), isError=True, remedy=remedy)
            return True
        if states.axis != axis or index not in states.kept:
            return False
        sentence = CorrectionSentences.isKept(axis, index, index in states.locked)
        remedy = Remedy(
            _("Release {slice}").format(slice=Sentences.sliceName(axis, index)), lambda: self._free(axis, index)
        )
        self._news.say(sentence, isError=True, remedy=remedy)
        return True

    def _free(self, axis: str, index: int) -> None:
        self.onRelease([index])
        self.predictOn(axis, index)

    def _asked(self, axis: str, index: int) -> tuple[Prompt, ...]:
        """The prompts of the slice, and the mask that they correct."""
        prompts, place = bySlice(self._choice.promptsAlong(axis, index), axis), self._choice.place()
        states = place.now() if place is not None else SliceStates()
        starts = bases(states, prompts, place.masks()) if states.axis == axis else {}
        return withBases(prompts, starts, axis)

    def _ask(self, prompts: tuple[Prompt, ...], axis: str, index: int) -> None:
        """The request goes first: while the engine computes, the segment is made ready to be written to."""
        text = _("Computing the preview of slice {slice}…")
        self._news.say(text.format(slice=Sentences.sliceName(axis, index)))
        self._runs.predict(prompts, axis, index, self._onMask, self._change.startOver, self._onEnd)
        if self._runs.isBusy and not self._change.open(lambda *place: place == (axis, index)):
            self._runs.drop()
            self._preview.forget()

    def _onMask(self, event: MaskChanged) -> None:
        self._preview.mask = event
        if not self._change.write(event):
            self.stop()
            self._news.say(_("The segment was deleted; the computation was stopped."), isError=True)

    def _onEnd(self, end: End) -> None:
        if isinstance(end, Done) and self._preview.isThere:
            self._show()
            return
        node = self._preview.promptNode
        self.remove()
        self._news.sayEnd(end, lambda: self._predictAgain(node))

    def _predictAgain(self, node) -> None:
        if node is not None and node.GetScene() is not None:
            self.predict(node)

    def _show(self) -> None:
        self._preview.show(self._change.writer)
        mask = self._preview.mask
        sentence = " ".join(filter(None, [self._note, Sentences.ofPreview(mask)]))
        self._news.say(sentence, isError=mask.region.is_empty)
