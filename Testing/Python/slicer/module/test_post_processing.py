"""Tidying up the chosen lesion by buttons: what changes, what stays, what is said, and the way back."""

import numpy as np
import pytest

TURNED = np.array([[0, -0.8, 0, 12], [0.8, 0, 0, -7], [0, 0, 2.0, 3], [0, 0, 0, 1]])
SHAPE_KJI = (20, 40, 44)


@pytest.fixture
def shown(module, add_volume):
    module.volume = add_volume(np.zeros(SHAPE_KJI, np.int16), TURNED)
    module.show(module.volume)
    return module


@pytest.fixture
def lesion(shown):
    """A block with a hole through it, an island beside it, and another lesion that overlaps both."""
    voxels = np.zeros(SHAPE_KJI, bool)
    voxels[5:12, 8:28, 10:30] = True
    voxels[5:12, 15:18, 15:20] = False
    voxels[15:17, 33:35, 36:39] = True
    shown.other = new_lesion(shown, np.ones(SHAPE_KJI, bool))
    shown.id = new_lesion(shown, voxels)
    shown.voxels = voxels
    return shown


def new_lesion(module, voxels):
    import slicer

    module.controller.addSegment()
    parameters = module.parameters
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        voxels.astype(np.uint8), parameters.segmentation, parameters.segmentId, module.volume
    )
    module.widget.updatePanels()
    return parameters.segmentId


def ui(module):
    return module.widget.lesionPanel.tidying.ui


def mask(module):
    return module.mask(module.volume).astype(bool)


def message(module):
    return module.ui.messageLabel.text


def test_holes_are_filled_said_and_taken_back_exactly(lesion, mouse):
    ui(lesion).fillButton.click()
    expected = lesion.voxels.copy()
    expected[5:12, 15:18, 15:20] = True
    np.testing.assert_array_equal(mask(lesion), expected)
    assert message(lesion) == "Holes filled: 3.46 ml → 3.60 ml. Ctrl+Z takes it back."
    mouse.key("Ctrl+Z")
    np.testing.assert_array_equal(mask(lesion), lesion.voxels)
    mouse.key("Ctrl+Y")
    np.testing.assert_array_equal(mask(lesion), expected)


def test_islands_below_the_limit_go(lesion):
    ui(lesion).islandsBox.value = 0.1
    ui(lesion).islandsButton.click()
    expected = lesion.voxels.copy()
    expected[15:17] = False
    np.testing.assert_array_equal(mask(lesion), expected)


def test_the_part_with_the_prompt_stays(lesion, mouse):
    from medsam2_protocol.prompts import PointPrompt

    lesion.controller.onPromptPlaced(PointPrompt((37.0, 34.0, 16.0)), "K")
    ui(lesion).keepPromptedButton.click()
    expected = lesion.voxels.copy()
    expected[:13] = False
    np.testing.assert_array_equal(mask(lesion), expected)
    mouse.key("Ctrl+Z")
    np.testing.assert_array_equal(mask(lesion), lesion.voxels)


@pytest.mark.parametrize("kind", ["box", "scribble", "lasso", "mask"])
def test_every_kind_of_prompt_says_which_part(lesion, kind):
    from medsam2_protocol.masks import region_of_slice
    from medsam2_protocol.prompts import BoxPrompt, LassoPrompt, MaskPrompt, ScribblePrompt

    plane = np.zeros(SHAPE_KJI[1:], bool)
    plane[34, 37] = True
    prompt = {
        "box": BoxPrompt("K", 16, (35, 32), (40, 36)),
        "scribble": ScribblePrompt("K", 16, ((36, 33), (38, 34))),
        "lasso": LassoPrompt("K", 16, ((34, 31), (41, 31), (41, 37), (34, 37))),
        "mask": MaskPrompt("K", 16, region_of_slice(plane, 0, 16)),
    }[kind]
    lesion.controller.onPromptPlaced(prompt, "K")
    ui(lesion).keepPromptedButton.click()
    assert mask(lesion).sum() == 2 * 2 * 3


def test_without_a_prompt_there_is_nothing_to_keep_by(lesion):
    ui(lesion).keepPromptedButton.click()
    assert "draw a box (B)" in message(lesion)
    np.testing.assert_array_equal(mask(lesion), lesion.voxels)


def test_smoothing_keeps_the_volume_and_can_be_taken_back(lesion, mouse):
    ui(lesion).smoothBox.value = 1.5
    ui(lesion).smoothButton.click()
    assert mask(lesion).sum() == pytest.approx(lesion.voxels.sum(), rel=0.01)
    assert (mask(lesion) != lesion.voxels).any()
    mouse.key("Ctrl+Z")
    np.testing.assert_array_equal(mask(lesion), lesion.voxels)


def test_smoothing_a_very_large_lesion_is_refused(lesion, monkeypatch):
    from MedSAM2SlicerLib import PostProcessing

    monkeypatch.setattr(PostProcessing, "MOST_SMOOTHED_VOXELS", 1000)
    ui(lesion).smoothButton.click()
    assert "too large" in message(lesion)
    np.testing.assert_array_equal(mask(lesion), lesion.voxels)


def test_other_lesions_are_never_touched(lesion):
    import slicer

    for button in (ui(lesion).fillButton, ui(lesion).islandsButton, ui(lesion).smoothButton):
        button.click()
    other = slicer.util.arrayFromSegmentBinaryLabelmap(lesion.parameters.segmentation, lesion.other, lesion.volume)
    assert other.all()


def test_kept_slices_stay_as_they_are(lesion):
    lesion.widget.lesionPanel.tidying.keptSlices = lambda: (("K", 7), ("K", 16))
    ui(lesion).fillButton.click()
    ui(lesion).islandsButton.click()
    expected = lesion.voxels.copy()
    expected[5:12, 15:18, 15:20] = True
    expected[7] = lesion.voxels[7]
    expected[15] = False
    np.testing.assert_array_equal(mask(lesion), expected)


def test_what_would_leave_nothing_is_refused(lesion):
    ui(lesion).islandsBox.value = 900
    ui(lesion).islandsButton.click()
    assert message(lesion) == "That would leave nothing of this lesion, so nothing was changed."
    np.testing.assert_array_equal(mask(lesion), lesion.voxels)


def test_nothing_to_do_is_said_and_is_no_step(lesion):
    ui(lesion).fillButton.click()
    ui(lesion).fillButton.click()
    assert "nothing to change" in message(lesion)
    lesion.controller.undo()
    np.testing.assert_array_equal(mask(lesion), lesion.voxels)


def test_an_empty_lesion_is_said_to_be_empty(shown):
    shown.controller.addSegment()
    ui(shown).fillButton.click()
    assert message(shown) == "This lesion is empty: there is nothing to change."


def test_without_a_lesion_the_buttons_are_grey(module):
    assert not ui(module).fillButton.enabled
