"""One propagation under way: its requests one after the other, and what came of them.

It writes through the open change only, never to a slice that is kept and never outside the slices of its request. What
it has written is remembered, so that a lost worker costs the request that was under way and nothing before it; and so
that slices which a hand edits meanwhile are known, and kept.
"""

from __future__ import annotations

from dataclasses import replace

from medsam2_protocol.masks import EMPTY_REGION, MaskRegion
from medsam2_protocol.messages import Done, MaskChanged
from MedSAM2SlicerLib.EngineRuns import Question
from MedSAM2SlicerLib.PropagationPlan import Plan, Step, keptNow
from MedSAM2SlicerLib.SegmentSlices import markOf
from MedSAM2SlicerLib.SegmentStates import SegmentStates, keptMasks
from MedSAM2SlicerLib.SliceStates import Evidence, Slices, SliceStates


class Propagation:
    """`question` is what to ask now; `onStepDone` goes on to the next, until `isDone`."""

    def __init__(self, plan: Plan, place: SegmentStates) -> None:
        self.plan = plan
        self.states = plan.states
        self.seconds = 0.0
        self.encoded = 0
        self.cleared: set[int] = set()
        self.place = place
        self._number = 0
        self._kept: Slices = frozenset()
        self._came: dict[int, Evidence] = {}
        self._provisional: set[int] = set()  # of these, slices of a first look
        self._regions: dict[tuple[str, int], MaskRegion] = {}  # of this step
        self._written: dict[tuple[str, int], MaskRegion] = {}  # of the steps before
        self._isReplaying = False
        self._marks: dict[int, int] = {}  # of the slices when the step began
        self.edited: Slices = frozenset()

    @property
    def isDone(self) -> bool:
        return self._number == len(self.plan.steps)

    @property
    def step(self) -> Step:
        return self.plan.steps[self._number]

    @property
    def hasFound(self) -> bool:
        """Whether any mask of this step holds a voxel."""
        return any(not region.is_empty for region in self._regions.values())

    @property
    def touched(self) -> tuple[int, int]:
        """The lowest and the highest slice that was written to, of all that were announced."""
        indices = [index for axis, index in self._written if axis == self.plan.axis]
        return (min(indices), max(indices)) if indices else self.plan.slices

    def mayWrite(self, axis: str, index: int) -> bool:
        """For the writer."""
        if self._isReplaying:
            return True
        return axis == self.plan.axis and index in self.step.slices and index not in self._kept

    def begin(self, writer) -> None:
        """What an earlier propagation wrote along another axis goes."""
        axis, indices = self.plan.erased
        self._written = {(axis, index): EMPTY_REGION for index in indices}
        self._replay(writer)

    def question(self) -> Question:
        """The next request; what the segment holds now is what stands."""
        self._kept = keptNow(self.plan, self.step, self.states)
        self._kept |= self.edited
        self._came, self._regions, self._provisional = {}, {}, set()
        held = self.place.masks()
        self._marks = held.marks(self.plan.axis)
        masks = keptMasks(held, self.plan.axis, self._kept)
        return Question(self.plan.prompts, self.plan.axis, self.step.reach, masks, self.step.corrected)

    def onMask(self, event: MaskChanged) -> bool:
        """Returns whether it is to be written."""
        if not self.mayWrite(event.axis, event.slice):
            return False
        if event.provisional:
            self._provisional.add(event.slice)
        else:
            self._provisional.discard(event.slice)
        self._came[event.slice] = (event.object_score, event.predicted_iou, event.agreement)
        self._regions[event.axis, event.slice] = event.region
        return True

    def keepHandEdits(self) -> None:
        """Slices that hold something else than they were left with stand from now on."""
        expected = dict(self._marks)
        for (axis, index), region in self._regions.items():
            if axis == self.plan.axis:
                expected.pop(index, None)
                expected.update({} if region.is_empty else {index: markOf(region)})
        now = self.place.masks().marks(self.plan.axis)
        self.edited |= {index for index in {*now, *expected} if now.get(index) != expected.get(index)}
        self._kept |= self.edited

    def onRepeated(self, writer) -> None:
        """The segment is as it was at the beginning, and the request is asked again."""
        self._came, self._regions, self._provisional = {}, {}, set()
        self._replay(writer)
        self._marks = self.place.masks().marks(self.plan.axis)

    def onStepDone(self, writer, end: Done) -> None:
        """Slices of an earlier propagation that this one did not reach are cleared."""
        stale = (self.states.propagated | set(self.states.answered)) - self._kept - set(self._came)
        cleared = {index for index in stale if index in self.step.slices}
        for index in sorted(cleared):
            writer.write(self.plan.axis, index, EMPTY_REGION)
            self._regions[self.plan.axis, index] = EMPTY_REGION
        self.states = self._after(cleared)
        self._written.update(self._regions)
        self.cleared |= cleared
        self.seconds += end.seconds
        self.encoded += end.encoded
        self._number += 1

    def statesNow(self) -> SliceStates:
        """With what the segment holds now, also in the midst of it."""
        marks = self.place.masks().marks(self.plan.axis)
        if not self.isDone:
            return replace(self._after(set()), marks=marks).withHandEdits(self.edited, marks)
        states = replace(self.states, marks=marks, settings=self.plan.settings, pending=frozenset())
        return states.withHandEdits(self.edited, marks)

    def _after(self, cleared: set[int]) -> SliceStates:
        plan = self.plan
        answered = {
            index: digest
            for index, digest in plan.digests.items()
            if index in self._came or self.states.answered.get(index) == digest
        }
        known = {index: region for index, region in self.states.bases.items() if index not in self._came}
        new = {index: region for index, region in plan.starts.items() if index in self._came}
        firstLook = frozenset(self._provisional)
        return self.states.afterRun(self._came, cleared, answered, {**known, **new}, firstLook)

    def _replay(self, writer) -> None:
        self._isReplaying = True
        for (axis, index), region in self._written.items():
            writer.write(axis, index, region)
        self._isReplaying = False
