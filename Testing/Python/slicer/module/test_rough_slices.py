"""A propagation that begins with a first look: what is asked and shown, and what is left if it is cancelled."""

import numpy as np
import pytest

from medsam2_protocol.messages import Propagate
from panel_hands import box, idle


@pytest.fixture
def shown(module, add_volume, ball):
    """The entered module with the ball chosen, a first look wanted, and every request in `asked`."""
    module.volume = add_volume(ball)
    module.show(module.volume)
    module.listen()
    module.ui.progressiveCheckBox.click()
    return module


def propagated(module, wait_until):
    module.ui.propagateButton.click()
    wait_until(idle(module))
    return module.mask(module.volume)


def cancelled(module, fake_engine, wait_until):
    """In the middle: the first look is there, and some slices have been followed."""
    module.engine.environment = fake_engine("patient")
    box(module, wait_until)
    module.controller.propagate()
    wait_until(lambda: module.controller.progress.done >= 2)
    module.controller.cancel()
    wait_until(idle(module))


def states(module):
    return module.controller.choice.place().now()


def cells(module):
    return {cell.index: cell for cell in module.widget.sliceStripPanel._cells}


def test_there_is_no_first_look_unless_a_person_wants_one(shown, wait_until):
    shown.ui.progressiveCheckBox.click()
    assert not shown.ui.progressiveCheckBox.checked
    box(shown, wait_until)
    propagated(shown, wait_until)
    assert not shown.asked[-1].progressive


def test_at_the_end_nothing_is_left_of_the_first_look(shown, wait_until):
    box(shown, wait_until)
    mask = propagated(shown, wait_until)
    assert shown.asked[-1].progressive
    assert not mask[:, 0, 0].any()
    assert np.flatnonzero(mask.any(axis=(1, 2))).tolist() == list(range(7, 14))
    assert not states(shown).provisional


def test_the_whole_object_is_shown_while_it_is_followed(shown, fake_engine, wait_until):
    shown.engine.environment = fake_engine("patient")
    box(shown, wait_until)
    shown.controller.propagate()
    wait_until(lambda: shown.controller.progress.done >= 1)
    assert np.flatnonzero(shown.mask(shown.volume).any(axis=(1, 2))).tolist() == list(range(7, 14))
    shown.controller.cancel()
    wait_until(idle(shown))


def test_a_cancel_in_the_middle_leaves_the_segment_as_it_was(shown, fake_engine, wait_until):
    cancelled(shown, fake_engine, wait_until)
    shown.controller.previewing.stop()
    assert not shown.mask(shown.volume).any()
    assert "as it was before" in shown.ui.messageLabel.text


def test_rough_slices_that_were_kept_are_told_from_those_that_were_followed(shown, fake_engine, wait_until):
    cancelled(shown, fake_engine, wait_until)
    shown.ui.keepButton.click()
    assert "Only looked at roughly" in shown.ui.messageLabel.text
    rough = states(shown).provisional
    assert rough == frozenset(np.flatnonzero(shown.mask(shown.volume)[:, 0, 0]).tolist())
    assert 0 < len(rough) < 7
    shown.widget.updatePanels()
    found = cells(shown)
    assert {index for index, cell in found.items() if cell.state == "provisional"} == rough
    assert all(found[index].isDoubtful and found[index].confidence is None for index in rough)


def test_space_follows_the_rough_slices(shown, fake_engine, wait_until):
    cancelled(shown, fake_engine, wait_until)
    shown.ui.keepButton.click()
    shown.engine.environment = fake_engine("normal")
    shown.engine.stop()
    mask = propagated(shown, wait_until)
    assert isinstance(shown.asked[-1], Propagate)
    assert shown.asked[-1].corrected is None
    assert not mask[:, 0, 0].any()
    assert not states(shown).provisional


def test_a_correction_has_no_first_look(shown, wait_until):
    box(shown, wait_until)
    propagated(shown, wait_until)
    box(shown, wait_until, 12)
    propagated(shown, wait_until)
    assert shown.asked[-1].corrected == 12
    assert not shown.asked[-1].progressive


def test_a_rough_slice_that_is_locked_is_locked():
    from MedSAM2SlicerLib.SliceStates import SliceStates

    rough = SliceStates(axis="K", propagated=frozenset({3, 4}), provisional=frozenset({3, 4}))
    locked = rough.withLocked([3])
    assert (locked.of(3), locked.of(4)) == ("locked", "provisional")
    assert locked.provisional == {4}


def test_rough_slices_and_the_choice_are_saved_with_the_scene(shown, fake_engine, wait_until, tmp_path, app):
    import slicer

    cancelled(shown, fake_engine, wait_until)
    shown.ui.keepButton.click()
    rough = states(shown).provisional
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    app.processEvents()
    shown.widget.enter()
    assert shown.ui.progressiveCheckBox.checked
    assert states(shown).provisional == rough
