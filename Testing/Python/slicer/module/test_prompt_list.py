"""The list of prompts in the panel."""

import numpy as np
import pytest


@pytest.fixture
def shown(module, add_volume, ball):
    """The entered module with the ball chosen, in the views, and a box on K10, a point on K12 and one that is not."""
    from medsam2_protocol.prompts import BoxPrompt, PointPrompt

    module.volume = add_volume(ball)
    module.show(module.volume)
    module.controller.onBoxPlaced(BoxPrompt("K", 10, (10.0, 8.0), (34.0, 32.0)))
    module.controller.onPromptPlaced(PointPrompt((22.0, 20.0, 12.0)), "K")
    module.controller.onPromptPlaced(PointPrompt((26.0, 20.0, 12.0), False), "K")
    return module


def idle(module):
    return lambda: not module.controller.isBusy


def rows(module):
    return [module.ui.promptList.item(row).text() for row in range(module.ui.promptList.count)]


def select(module, row):
    module.ui.promptList.setCurrentRow(row)
    module.widget.panel._prompts.onClicked()


def test_every_prompt_is_listed_with_its_kind_and_slice(shown, wait_until, screenshots):
    import slicer

    wait_until(idle(shown))
    slicer.util.mainWindow().resize(1100, 900)
    slicer.app.processEvents()
    slicer.util.mainWindow().grab().save(str(screenshots / "prompts.png"))
    assert rows(shown) == ["Box, slice K10", "Point +, slice K12", "Point -, slice K12"]


def test_a_click_on_a_row_shows_its_slice(shown, wait_until):
    import slicer

    wait_until(idle(shown))
    select(shown, 0)
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    assert round(red.GetSliceOffset()) == 10
    select(shown, 1)
    assert round(red.GetSliceOffset()) == 12


def test_the_delete_key_removes_the_selected_prompt_and_previews_what_is_left(shown, mouse, wait_until):
    wait_until(idle(shown))
    assert not shown.mask(shown.volume)[12, 20, 26]
    mouse.key("Del")
    wait_until(idle(shown))
    assert rows(shown) == ["Box, slice K10", "Point +, slice K12"]
    assert shown.mask(shown.volume)[12, 20, 26]


def test_the_button_removes_the_prompt_that_was_clicked(shown, wait_until):
    wait_until(idle(shown))
    select(shown, 0)
    shown.ui.removePromptButton.click()
    assert rows(shown) == ["Point +, slice K12", "Point -, slice K12"]
    shown.ui.undoButton.click()
    wait_until(idle(shown))
    assert rows(shown)[0] == "Box, slice K10"


def test_a_prompt_deleted_elsewhere_leaves_the_list(shown, wait_until):
    import slicer

    wait_until(idle(shown))
    slicer.mrmlScene.RemoveNode(shown.controller.promptNodes()[0])
    assert rows(shown) == ["Point +, slice K12", "Point -, slice K12"]


def test_each_segment_lists_its_own_prompts(shown, wait_until):
    wait_until(idle(shown))
    first = shown.parameters.segmentId
    shown.ui.addSegmentButton.click()
    assert rows(shown) == []
    shown.controller.chooseSegment(first)
    assert len(rows(shown)) == 3


def test_prompts_on_several_slices_are_solved_together(shown, wait_until, ball):
    wait_until(idle(shown))
    shown.controller.propagate()
    wait_until(idle(shown))
    found = shown.mask(shown.volume)
    assert np.flatnonzero(found.any(axis=(1, 2))).tolist() == list(range(7, 15))
