"""Whatever a person does in whatever order: what stands is never touched, and everything can be taken back.

The controller and the scene are real; the engine is a double that answers at once, so that a thousand stories are told.
"""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine_double import EngineDouble

SHAPE = (9, 6, 7)  # KJI
SLICES = st.integers(0, SHAPE[0] - 1)
OUTCOME = st.sampled_from(["done", "done", "cancelled", "failed", "lost"])
ACTION = st.one_of(
    st.tuples(st.just("box"), SLICES),
    st.tuples(st.just("point"), SLICES, st.booleans()),
    st.tuples(st.just("unprompt"), st.integers(0, 5)),
    st.tuples(st.just("propagate"), OUTCOME, st.integers(0, 4)),
    st.tuples(st.just("propagate"), OUTCOME, st.integers(0, 4)),
    st.tuples(st.just("anew"), OUTCOME, st.integers(0, 4)),
    st.tuples(st.just("lock"), SLICES),
    st.tuples(st.just("release"), SLICES),
    st.tuples(st.just("approve")),
    st.tuples(st.just("withdraw")),
    st.tuples(st.just("paint"), SLICES),
    st.tuples(st.just("paint"), SLICES),
    st.tuples(st.just("undo")),
    st.tuples(st.just("redo")),
    st.tuples(st.just("keep")),
)
BEGINNING = st.tuples(SLICES, st.booleans())
STORY = st.lists(ACTION, min_size=1, max_size=12)
RUN = settings(
    max_examples=340, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Desk:
    """A controller with a segment of its own, and hands that do what a story says."""

    def __init__(self, volume, seed: int, is_rogue: bool, is_painted: bool) -> None:
        import slicer

        from MedSAM2SlicerLib.SegmentationController import SegmentationController

        self.volume = volume
        self.engine = EngineDouble(SHAPE, seed, is_rogue)
        self.controller = SegmentationController(self.engine, self.engine)
        self.random = random.Random(seed)
        self.parameters = SimpleNamespace(
            volume=volume, segmentation=slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode"), segmentId="",
            model="embedded", device="auto", window="", direction="both", markedAxis="", firstSlice=-1, lastSlice=-1,
            zoom="off",
            progressive=False,
        )  # fmt: skip
        self.controller.choice.parameters = self.parameters
        self.controller.addSegment()
        if is_painted:
            self.draw(self.random.randrange(SHAPE[0]))

    def close(self) -> None:
        import slicer

        self.controller.setParameters(None)
        for node in slicer.util.getNodesByClass("vtkMRMLMarkupsNode"):
            slicer.mrmlScene.RemoveNode(node)
        slicer.mrmlScene.RemoveNode(self.parameters.segmentation)

    def voxels(self) -> np.ndarray:
        """The segment without a preview, KJI."""
        self.controller.previewing.remove()
        masks = self.controller.choice.place().masks()
        whole = np.zeros(SHAPE, bool)
        whole[tuple(slice(a, a + n) for a, n in zip(masks.start, masks.voxels.shape, strict=True))] = masks.voxels
        return whole

    def kept(self) -> list[int]:
        return sorted(self.controller.choice.place().now().kept)

    def texts(self):
        from MedSAM2SlicerLib.SegmentTags import textsOf

        return textsOf(self.controller.choice.place().segment)

    def draw(self, index: int) -> None:
        """Change a slice as another module would: by no writer of the controller."""
        from medsam2_protocol.masks import region_of_slice
        from MedSAM2SlicerLib.SegmentWriter import SegmentWriter

        self.controller.previewing.remove()
        plane = np.random.default_rng(self.random.getrandbits(32)).random(SHAPE[1:]) < 0.4
        writer = SegmentWriter(self.volume, self.parameters.segmentation, self.parameters.segmentId)
        writer.begin()
        writer.write("K", index, region_of_slice(plane, 0, index))
        writer.end()

    # ---- actions

    def box(self, index: int) -> None:
        from medsam2_protocol.prompts import BoxPrompt

        self.controller.onBoxPlaced(BoxPrompt("K", index, (1.0, 1.0), (5.0, 4.0)))
        self.engine.finish()

    def point(self, index: int, positive: bool) -> None:
        from medsam2_protocol.prompts import PointPrompt

        place = (float(self.random.randrange(SHAPE[2])), float(self.random.randrange(SHAPE[1])), float(index))
        self.controller.onPromptPlaced(PointPrompt(place, positive), "K")
        self.engine.finish()

    def unprompt(self, number: int) -> None:
        nodes = self.controller.promptNodes()
        if nodes:
            self.controller.removePrompt(nodes[number % len(nodes)])
            self.engine.finish()

    def propagate(self, outcome: str, masks: int, go=None) -> None:
        (go or self.controller.propagate)()
        self.engine.run(masks)
        if outcome == "cancelled" and self.controller.isBusy:
            self.controller.cancel()
        elif outcome == "failed":
            self.engine.fail("out_of_memory")
        elif outcome == "lost":
            self.engine.fail("worker_died")
        self.engine.finish()
        assert not self.controller.isBusy

    def anew(self, outcome: str, masks: int) -> None:
        self.propagate(outcome, masks, self.controller.propagateAnew)

    def lock(self, index: int) -> None:
        self.controller.approval.lock(index)

    def release(self, index: int) -> None:
        self.controller.approval.release([index])

    def approve(self) -> None:
        self.controller.approval.approve()

    def withdraw(self) -> None:
        self.controller.approval.withdraw()

    def paint(self, index: int) -> None:
        self.controller.leave()
        self.draw(index)
        self.controller.enter()

    def undo(self) -> None:
        self.controller.undo()
        self.engine.finish()

    def redo(self) -> None:
        self.controller.redo()
        self.engine.finish()

    def keep(self) -> None:
        self.controller.keepWhatCame()


@pytest.fixture
def desk_of(scene, add_volume):
    """``desk_of(seed, is_rogue, is_painted)``; the desk before is cleared away. No view follows."""
    volume = add_volume(np.zeros(SHAPE, np.int16))
    desks = []

    def make(seed: int, is_rogue: bool = False, is_painted: bool = False) -> Desk:
        if desks:
            desks.pop().close()
        desks.append(Desk(volume, seed, is_rogue, is_painted))
        return desks[-1]

    scene.StartState(scene.BatchProcessState)
    yield make
    for desk in desks:
        desk.close()
    scene.EndState(scene.BatchProcessState)


@RUN
@given(seed=st.integers(0, 2**16), story=STORY, beginning=BEGINNING, is_rogue=st.booleans())
def test_what_is_locked_or_edited_stays_to_the_bit(desk_of, seed, story, beginning, is_rogue):
    desk = desk_of(seed, is_rogue, beginning[1])
    desk.box(beginning[0])
    for name, *arguments in story:
        before, kept = desk.voxels(), desk.kept()
        getattr(desk, name)(*arguments)
        if name not in ("paint", "undo", "redo"):
            after = desk.voxels()
            np.testing.assert_array_equal(after[kept], before[kept], err_msg=f"{name} touched what stands")


@RUN
@given(seed=st.integers(0, 2**16), story=STORY, beginning=BEGINNING, is_rogue=st.booleans())
def test_a_run_changes_nothing_outside_the_slices_it_announced(desk_of, seed, story, beginning, is_rogue):
    desk = desk_of(seed, is_rogue, beginning[1])
    desk.box(beginning[0])
    desk.propagate("done", 0)
    for name, *arguments in story:
        before, asked = desk.voxels(), len(desk.engine.asked)
        getattr(desk, name)(*arguments)
        after, started = desk.voxels(), len(desk.engine.asked) > asked
        outcome = arguments[0] if name in ("propagate", "anew") else ""
        if name in ("propagate", "anew") and started:
            _axis, first, last = desk.controller.propagating.announced
            np.testing.assert_array_equal(after[:first], before[:first])
            np.testing.assert_array_equal(after[last + 1 :], before[last + 1 :])
        ended_early = outcome in ("cancelled", "failed") and "Recomputed" not in desk.controller.message
        if name in ("box", "point", "unprompt", "lock", "release", "approve", "withdraw") or (
            ended_early and "Done" not in desk.controller.message
        ):
            np.testing.assert_array_equal(after, before, err_msg=f"{name} changed voxels")


@RUN
@given(seed=st.integers(0, 2**16), story=STORY, beginning=BEGINNING, is_rogue=st.booleans())
def test_undoing_everything_gives_the_beginning_back_and_redoing_the_end(desk_of, seed, story, beginning, is_rogue):
    desk = desk_of(seed, is_rogue, beginning[1])
    first, texts = desk.voxels(), desk.texts()
    desk.box(beginning[0])
    desk.propagate("done", 0)
    for name, *arguments in story:
        getattr(desk, name)(*arguments)
    last, texts_at_end = desk.voxels(), desk.texts()
    undone = 0
    while desk.controller.canUndo:
        desk.undo()
        undone += 1
        assert undone < 100, desk.controller.message
    np.testing.assert_array_equal(desk.voxels(), first)
    assert (desk.texts(), desk.controller.promptNodes()) == (texts, [])
    for _number in range(undone):
        desk.redo()
    np.testing.assert_array_equal(desk.voxels(), last)
    assert desk.texts() == texts_at_end
