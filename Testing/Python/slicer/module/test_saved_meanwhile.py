"""Saving a segmentation puts its labelmaps into one: whatever is open in it, every lesion stays on its voxels."""

import numpy as np
import pytest

OBLIQUE = np.array([[0.6, 0.3, 0.0, 10.0], [-0.3, 0.6, 0.0, 5.0], [0.0, 0.0, 2.5, -30.0], [0, 0, 0, 1]])


@pytest.fixture
def shown(module, add_volume, ball):
    """The entered module with the ball, on an oblique lattice, in all views."""
    module.volume = add_volume(ball, OBLIQUE)
    module.show(module.volume)
    return module


def new_lesion(module):
    module.ui.addSegmentButton.click()
    return module.parameters.segmentId


def paint(module, segment, rows=slice(1, 6)):
    """Voxels beside the ball, none of them in it."""
    import slicer

    voxels = np.zeros((20, 40, 44), np.uint8)
    voxels[1:19, rows, 1:40] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, module.parameters.segmentation, segment, module.volume)
    return voxels


def voxels_of(module, segment):
    import slicer

    return slicer.util.arrayFromSegmentBinaryLabelmap(module.parameters.segmentation, segment, module.volume)


def packed(module, segment):
    from MedSAM2SlicerLib.PackedLabelmap import packSegment

    return packSegment(module.parameters.segmentation, segment)


def idle(module):
    return lambda: not module.controller.isBusy


def preview(module, wait_until):
    from medsam2_protocol.prompts import BoxPrompt

    module.controller.onBoxPlaced(BoxPrompt("K", 10, (10.0, 8.0), (34.0, 32.0)))
    wait_until(idle(module))
    assert module.controller.hasPreview, module.controller.message


def propagate(module, wait_until):
    module.controller.propagate()
    wait_until(idle(module))
    assert "Done" in module.controller.message, module.controller.message


def save(path):
    import slicer

    assert slicer.util.saveScene(path)


def two_lesions(module, isPaintedFirst):
    """The painted one, what it holds, and an empty one, which is chosen."""
    ids = [new_lesion(module), new_lesion(module)]
    painted, empty = ids if isPaintedFirst else ids[::-1]
    module.controller.chooseSegment(painted)
    voxels = paint(module, painted)
    module.controller.chooseSegment(empty)
    return painted, voxels, empty


@pytest.mark.parametrize("emptied", ["never drawn", "discarded", "undone", "deleted and brought back"])
def test_an_empty_lesion_leaves_the_others_on_their_lattice(shown, wait_until, mrb, emptied):
    new_lesion(shown)
    if emptied == "discarded":
        preview(shown, wait_until)
        shown.controller.cancel()
    elif emptied == "undone":
        preview(shown, wait_until)
        propagate(shown, wait_until)
        shown.controller.undo()
        shown.controller.undo()
    elif emptied == "deleted and brought back":
        shown.controller.deleting.delete()
        shown.controller.undo()
    lesion = new_lesion(shown)
    preview(shown, wait_until)
    propagate(shown, wait_until)
    before = packed(shown, lesion)
    save(mrb)
    assert before.bits
    assert packed(shown, lesion).isSame(before)


def test_a_lesion_on_another_volume_than_the_empty_ones_stays_on_its_lattice(shown, ball, add_volume, wait_until, mrb):
    new_lesion(shown)
    shown.volume = add_volume(ball, name="other")
    shown.ui.volumeSelector.setCurrentNode(shown.volume)
    lesion = new_lesion(shown)
    preview(shown, wait_until)
    propagate(shown, wait_until)
    before = packed(shown, lesion)
    save(mrb)
    assert packed(shown, lesion).isSame(before)


@pytest.mark.parametrize("isPaintedFirst", [True, False])
def test_a_preview_can_still_be_discarded(shown, wait_until, mrb, isPaintedFirst):
    painted, voxels, lesion = two_lesions(shown, isPaintedFirst)
    preview(shown, wait_until)
    save(mrb)
    shown.controller.cancel()
    assert not voxels_of(shown, lesion).any()
    np.testing.assert_array_equal(voxels_of(shown, painted), voxels)


@pytest.mark.parametrize("isPaintedFirst", [True, False])
def test_a_propagation_goes_on_in_its_own_lesion(shown, ball, fake_engine, wait_until, mrb, isPaintedFirst):
    shown.engine.environment = fake_engine("slow")
    painted, voxels, lesion = two_lesions(shown, isPaintedFirst)
    preview(shown, wait_until)
    shown.controller.propagate()
    wait_until(lambda: shown.controller.progress.done >= 3)
    save(mrb)
    wait_until(idle(shown))
    assert "Done" in shown.controller.message
    np.testing.assert_array_equal(voxels_of(shown, painted), voxels)
    expected = ball > 100
    expected[:7] = expected[14:] = False
    np.testing.assert_array_equal(voxels_of(shown, lesion), expected)
    shown.controller.undo()
    assert not voxels_of(shown, lesion).any()


@pytest.mark.parametrize("isPaintedFirst", [True, False])
def test_a_propagation_can_still_be_cancelled(shown, fake_engine, wait_until, mrb, isPaintedFirst):
    shown.engine.environment = fake_engine("patient")
    painted, voxels, lesion = two_lesions(shown, isPaintedFirst)
    before = paint(shown, lesion, rows=slice(33, 39))
    preview(shown, wait_until)
    shown.controller.propagate()
    wait_until(lambda: shown.controller.progress.done >= 2)
    save(mrb)
    shown.controller.cancel()
    wait_until(idle(shown))
    shown.controller.previewing.stop()
    np.testing.assert_array_equal(voxels_of(shown, painted), voxels)
    np.testing.assert_array_equal(voxels_of(shown, lesion), before)
