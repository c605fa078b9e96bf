"""From a RECIST line to a 3D segment: drawn or chosen, one click, and every line that cannot be used."""

import math

import numpy as np
import pytest

TURN = math.radians(25)
OBLIQUE = np.array(
    [
        [0.9 * math.cos(TURN), -0.9 * math.sin(TURN), 0, -20],
        [0.9 * math.sin(TURN), 0.9 * math.cos(TURN), 0, 15],
        [0, 0, 2.0, 40],
        [0, 0, 0, 1],
    ]
)


@pytest.fixture
def shown(module, add_volume, ball):
    module.volume = add_volume(ball, OBLIQUE)
    module.show(module.volume)
    return module


def ui(module):
    return module.widget.lesionPanel.recist.ui


def message(module):
    return module.ui.messageLabel.text


def add_line(module, *ends_ijk, name="L"):
    import slicer

    from MedSAM2SlicerLib.Geometry import VolumeFrame

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", name)
    for end in VolumeFrame(module.volume).worldFromIjk(np.array(ends_ijk, float).reshape(-1, 3)):
        node.AddControlPointWorld(*[float(value) for value in end])
    ui(module).lineSelector.setCurrentNode(node)
    return node


def segment(module, wait_until):
    ui(module).segmentLineButton.click()
    wait_until(lambda: not module.controller.isBusy)


def test_a_chosen_line_becomes_a_segment_in_one_click(shown, ball, wait_until):
    add_line(shown, (12.5, 20, 10), (31.5, 20, 10))
    segment(shown, wait_until)
    assert "Done" in message(shown)
    inside = ball[7:14] > 100
    assert (shown.mask(shown.volume)[7:14].astype(bool) & inside).sum() > 0.8 * inside.sum()


def test_the_prompt_is_a_box_around_the_line_on_its_slice(shown, wait_until):
    from MedSAM2SlicerLib.PromptMarkups import readPrompt

    add_line(shown, (12, 20, 10.2), (32, 20, 9.9))
    segment(shown, wait_until)
    (node,) = shown.controller.promptNodes()
    box = readPrompt(node)
    assert (box.axis, box.slice) == ("K", 10)
    assert box.min[0] == pytest.approx(12, abs=0.01)
    assert box.max[0] == pytest.approx(32, abs=0.01)
    assert box.min[1] < 14 < 26 < box.max[1]


def test_undo_takes_the_segment_and_the_prompt_back(shown, wait_until, mouse):
    add_line(shown, (12, 20, 10), (32, 20, 10))
    segment(shown, wait_until)
    mouse.key("Ctrl+Z")
    assert not shown.mask(shown.volume).any()
    mouse.key("Ctrl+Z")
    assert shown.controller.promptNodes() == []


@pytest.mark.parametrize("armed", ["", "P"])
def test_a_line_drawn_with_the_mouse_is_chosen_and_used(shown, mouse, wait_until, armed):
    if armed:
        mouse.key(armed)
    ui(shown).drawLineButton.click()
    node = ui(shown).lineSelector.currentNode()
    for end_ijk in ((14, 20, 10), (30, 20, 10)):
        mouse.move("Red", shown.volume, end_ijk)
        mouse.press("Red", shown.volume, end_ijk)
        mouse.release("Red", shown.volume, end_ijk)
    assert node.GetNumberOfDefinedControlPoints() == 2
    segment(shown, wait_until)
    assert "Done" in message(shown), message(shown)
    assert shown.mask(shown.volume).any()


def test_a_lesion_that_holds_something_is_left_alone(shown, wait_until):
    add_line(shown, (12, 20, 10), (32, 20, 10))
    segment(shown, wait_until)
    first, before = shown.parameters.segmentId, shown.mask(shown.volume)
    add_line(shown, (16, 20, 9), (28, 20, 9), name="second")
    segment(shown, wait_until)
    assert shown.parameters.segmentId != first
    assert shown.parameters.segmentation.GetSegmentation().GetNumberOfSegments() == 2
    shown.controller.chooseSegment(first)
    np.testing.assert_array_equal(shown.mask(shown.volume), before)


def test_an_empty_lesion_is_used(shown, wait_until):
    shown.controller.addSegment()
    add_line(shown, (12, 20, 10), (32, 20, 10))
    segment(shown, wait_until)
    assert shown.parameters.segmentation.GetSegmentation().GetNumberOfSegments() == 1


@pytest.mark.parametrize(
    ("ends", "sentence"),
    [
        ([(12, 20, 10)], "from one end of the lesion to the other"),
        ([], "from one end of the lesion to the other"),
        ([(12, 20, 10), (30, 25, 14)], "across slices"),
        ([(12, 20, 10), (300, 20, 10)], "outside"),
        ([(12, 20, -4), (30, 20, -4)], "outside"),
        ([(12, 20, 10), (13, 20, 10)], "too short"),
    ],
)
def test_a_line_that_says_nothing_gets_a_sentence_and_changes_nothing(shown, ends, sentence):
    add_line(shown, *ends)
    ui(shown).segmentLineButton.click()
    assert sentence in message(shown)
    assert shown.parameters.segmentation is None
    assert shown.engine.environment.pids() == []


def test_without_a_line_or_a_volume_there_is_a_sentence(shown):
    ui(shown).segmentLineButton.click()
    assert "Draw the line" in message(shown)
    shown.ui.volumeSelector.setCurrentNode(None)
    ui(shown).segmentLineButton.click()
    assert message(shown) == "Choose a volume first."


def test_a_measure_of_ours_is_no_line_to_segment(shown, wait_until):
    add_line(shown, (12, 20, 10), (32, 20, 10))
    segment(shown, wait_until)
    measures = shown.widget.lesionPanel.measures
    measures.measureNow()
    measures.ui.diametersButton.click()
    import slicer

    ui(shown).lineSelector.setCurrentNode(slicer.util.getNode("*long axis"))
    ui(shown).segmentLineButton.click()
    assert "is a measure of a lesion" in message(shown)


@pytest.mark.parametrize(("axis", "ends"), [("I", [(22, 14, 8), (22, 26, 12)]), ("J", [(14, 20, 8), (30, 20, 12)])])
def test_lines_in_the_other_planes_are_lines_too(shown, wait_until, axis, ends):
    add_line(shown, *ends)
    segment(shown, wait_until)
    from MedSAM2SlicerLib.PromptMarkups import axisOf

    (node,) = shown.controller.promptNodes()
    assert axisOf(node) == axis


def test_a_slanted_line_in_unequal_pixels_has_a_box_of_the_right_shape():
    from MedSAM2SlicerLib.RecistPrompts import boxOfLine

    box = boxOfLine(np.array([(40, 20, 5), (60, 60, 5)]), "K", (2.0, 1.0, 3.0), (100, 100, 20), aspect=0.5)
    # 56.6 mm at 45 degrees: half extents sqrt(20^2 + 10^2) mm.
    assert box.min == pytest.approx((50 - 22.36 / 2, 40 - 22.36), abs=0.01)
    assert box.max == pytest.approx((50 + 22.36 / 2, 40 + 22.36), abs=0.01)


def test_the_box_ends_at_the_border_of_the_volume():
    from MedSAM2SlicerLib.RecistPrompts import boxOfLine

    box = boxOfLine(np.array([(0, 2, 5), (0, 90, 5)]), "K", (1, 1, 1), (100, 100, 20), aspect=0.75)
    assert box.min[0] == 0
    assert box.max[0] == pytest.approx(33)
