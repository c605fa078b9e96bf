"""How far a propagation goes, and keeping what came of one that did not reach its end."""

import numpy as np
import pytest

from panel_hands import box, idle


@pytest.fixture
def shown(module, add_volume, ball):
    """The entered module with the ball chosen, in the views, and every request in `asked`."""
    module.volume = add_volume(ball)
    module.show(module.volume)
    module.listen()
    return module


def show_slice(k):
    import slicer

    slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, float(k), False)


def propagated(module, wait_until):
    module.ui.propagateButton.click()
    wait_until(idle(module))
    return np.flatnonzero(module.mask(module.volume).any(axis=(1, 2))).tolist()


@pytest.mark.parametrize(("row", "expected"), [(0, range(7, 14)), (1, range(10, 14)), (2, range(7, 11))])
def test_a_propagation_goes_both_ways_or_one_way_only(shown, wait_until, row, expected):
    box(shown, wait_until)
    shown.ui.directionSelector.setCurrentIndex(row)
    assert propagated(shown, wait_until) == list(expected)


def test_the_range_is_marked_from_the_slice_that_is_shown(shown, wait_until, screenshots):
    import slicer

    box(shown, wait_until)
    show_slice(9)
    shown.ui.fromHereButton.click()
    show_slice(12)
    shown.ui.toHereButton.click()
    slicer.app.processEvents()
    slicer.util.mainWindow().grab().save(str(screenshots / "range.png"))
    assert shown.ui.rangeLabel.text == "From K9 to K12"
    assert shown.ui.rangeButton.text == "Range: From K9 to K12"
    assert propagated(shown, wait_until) == [9, 10, 11, 12]
    assert (shown.asked[-1].first, shown.asked[-1].last) == (9, 12)


def test_a_view_that_the_layout_hides_shows_no_slice(shown, wait_until):
    import slicer

    box(shown, wait_until)
    layouts, node = slicer.app.layoutManager(), slicer.vtkMRMLLayoutNode
    before = layouts.layout
    show_slice(12)
    layouts.setLayout(node.SlicerLayoutOneUpYellowSliceView)
    try:
        shown.ui.fromHereButton.click()
        assert "No view shows a slice" in shown.ui.messageLabel.text
        layouts.sliceWidget("Yellow").mrmlSliceNode().SetOrientationToAxial()
        layouts.sliceWidget("Yellow").mrmlSliceNode().JumpSliceByOffsetting(22.0, 20.0, 9.0)
        shown.ui.fromHereButton.click()
        assert shown.ui.rangeLabel.text.startswith("From K9 ")
    finally:
        layouts.sliceWidget("Yellow").mrmlSliceNode().SetOrientationToSagittal()
        layouts.setLayout(before)


def test_one_mark_reaches_to_the_end_of_the_volume(shown, wait_until):
    box(shown, wait_until)
    show_slice(9)
    shown.ui.fromHereButton.click()
    propagated(shown, wait_until)
    assert (shown.asked[-1].first, shown.asked[-1].last) == (9, 19)


def test_cleared_marks_leave_the_end_to_the_engine(shown, wait_until):
    box(shown, wait_until)
    shown.ui.fromHereButton.click()
    shown.ui.clearMarksButton.click()
    assert "Until the object ends" in shown.ui.rangeLabel.text
    propagated(shown, wait_until)
    assert (shown.asked[-1].first, shown.asked[-1].last) == (None, None)


def test_a_prompt_outside_the_marks_is_said_before_anything_is_asked(shown, wait_until):
    box(shown, wait_until)
    show_slice(12)
    shown.ui.fromHereButton.click()
    asked = len(shown.asked)
    shown.ui.propagateButton.click()
    assert "K10 lies outside" in shown.ui.messageLabel.text
    assert len(shown.asked) == asked
    assert shown.controller.hasPreview


def test_marks_and_direction_are_saved_with_the_scene(shown, wait_until, tmp_path, app):
    import slicer

    box(shown, wait_until)
    shown.ui.directionSelector.setCurrentIndex(1)
    show_slice(9)
    shown.ui.fromHereButton.click()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    app.processEvents()
    shown.widget.enter()
    assert shown.ui.directionSelector.currentIndex == 1
    assert "K9" in shown.ui.rangeLabel.text
    assert shown.ui.rangeButton.text.endswith(", up only")


def cancelled(module, fake_engine, wait_until):
    module.engine.environment = fake_engine("slow")
    box(module, wait_until)
    module.controller.propagate()
    wait_until(lambda: module.controller.progress.done >= 3)
    came = module.mask(module.volume)
    module.controller.cancel()
    wait_until(idle(module))
    return came


def test_what_came_of_a_cancelled_run_can_be_kept_and_undone(shown, fake_engine, wait_until, screenshots):
    import slicer

    came = cancelled(shown, fake_engine, wait_until)
    slicer.app.processEvents()
    slicer.util.mainWindow().grab().save(str(screenshots / "cancelled.png"))
    assert shown.ui.keepButton.visible, shown.ui.messageLabel.text
    shown.ui.keepButton.click()
    kept = shown.mask(shown.volume)
    assert (kept >= came).all()
    assert kept.any(axis=(1, 2)).sum() >= 3
    assert not shown.ui.keepButton.visible
    shown.ui.undoButton.click()
    wait_until(idle(shown))
    assert not shown.mask(shown.volume).any()


def test_what_came_of_a_failed_run_can_be_kept(shown, fake_engine, wait_until):
    shown.engine.environment = fake_engine("failed")
    box(shown, wait_until)
    propagated(shown, wait_until)
    assert "not enough memory" in shown.ui.messageLabel.text
    shown.ui.keepButton.click()
    assert shown.mask(shown.volume).any(axis=(1, 2)).sum() == 2


def test_a_run_that_reached_its_end_offers_nothing_to_keep(shown, wait_until):
    box(shown, wait_until)
    propagated(shown, wait_until)
    assert not shown.ui.keepButton.visible


def test_what_came_is_not_kept_over_a_segment_that_was_changed_since(shown, fake_engine, wait_until):
    import slicer

    cancelled(shown, fake_engine, wait_until)
    shown.controller.previewing.discard()
    painted = np.zeros((20, 40, 44), np.uint8)
    painted[3, 3:6, 3:6] = 1
    parameters = shown.parameters
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        painted, parameters.segmentation, parameters.segmentId, shown.volume
    )
    shown.ui.keepButton.click()
    assert "changed meanwhile" in shown.ui.messageLabel.text
    np.testing.assert_array_equal(shown.mask(shown.volume), painted)


def test_what_came_is_not_kept_over_a_slice_that_was_locked_since(shown, fake_engine, wait_until):
    cancelled(shown, fake_engine, wait_until)
    shown.controller.approval.lock(9)
    shown.ui.keepButton.click()
    assert "changed meanwhile" in shown.ui.messageLabel.text
    assert not shown.mask(shown.volume)[9].any()
