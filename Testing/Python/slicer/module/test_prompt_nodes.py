"""Prompts of every kind come back from the scene as they were put there, on every volume; the chosen one shows."""

import numpy as np
import pytest

SHAPE_KJI = (20, 40, 44)
OBLIQUE = np.array([[0.28, -0.56, 1.9, 20], [0.26, 0.59, 1.5, -7], [-0.6, 0.0, 1.75, 11], [0, 0, 0, 1]])
FLIPPED = np.diag([-0.7, -0.9, 3.0, 1.0])
PARENT = np.array([[0.8, 0.6, 0, 5], [-0.6, 0.8, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1.0]])
SHEAR = np.array([[1, 0.2, 0, 5], [0, 1, 0.3, 6], [0.1, 0, 1, 7], [0, 0, 0, 1.0]])

KINDS = ["box", "point", "negative point", "scribble", "negative scribble", "lasso", "last slice", "mask"]


def prompts():
    from medsam2_protocol.masks import region_of_slice
    from medsam2_protocol.prompts import BoxPrompt, LassoPrompt, MaskPrompt, PointPrompt, ScribblePrompt

    mask = np.zeros((20, 44), bool)
    mask[4:9, 10:20] = True
    mask[15, 40] = True
    return {
        "box": (BoxPrompt("K", 3, (4.25, 5), (10, 12.5)), "K"),
        "point": (PointPrompt((12.5, 7.25, 3), True), "K"),
        "negative point": (PointPrompt((12, 7.25, 3.5), False), "I"),
        "scribble": (ScribblePrompt("I", 6, ((3.125, 4), (9, 5.5), (12, 6)), True), "I"),
        "negative scribble": (ScribblePrompt("K", 6, ((3.125, 4), (9, 5.5)), False), "K"),
        "lasso": (LassoPrompt("K", 0, ((3.5, 4.5), (19.5, 5.5), (12.25, 16), (3, 12))), "K"),
        "last slice": (LassoPrompt("K", 19, ((3.5, 4.5), (19.5, 5.5), (12.25, 16))), "K"),
        "mask": (MaskPrompt("J", 5, region_of_slice(mask, 1, 5)), "J"),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ijk_to_ras", [np.eye(4), OBLIQUE, FLIPPED], ids=["upright", "oblique", "flipped"])
@pytest.mark.parametrize("parent", [None, PARENT, SHEAR], ids=["alone", "rigid", "sheared"])
def test_a_prompt_comes_back_as_it_was(scene, add_volume, kind, ijk_to_ras, parent):
    from MedSAM2SlicerLib.Geometry import vtkMatrix
    from MedSAM2SlicerLib.PromptMarkups import addPrompt, readPrompt

    volume = add_volume(np.zeros(SHAPE_KJI, np.int16), ijk_to_ras)
    if parent is not None:
        node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        node.SetMatrixTransformToParent(vtkMatrix(parent))
        volume.SetAndObserveTransformNodeID(node.GetID())
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    prompt, axis = prompts()[kind]
    assert readPrompt(addPrompt(volume, segmentation, "s", prompt, axis)) == prompt


def test_a_mask_on_a_volume_that_has_become_smaller_is_on_no_voxel(scene, add_volume):
    import slicer

    from MedSAM2SlicerLib.PromptMarkups import addPrompt, readPrompt

    volume = add_volume(np.zeros(SHAPE_KJI, np.int16))
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    prompt, axis = prompts()["mask"]
    node = addPrompt(volume, segmentation, "s", prompt, axis)
    slicer.util.updateVolumeFromArray(volume, np.zeros((10, 20, 20), np.int16))
    assert readPrompt(node) is None


@pytest.fixture
def shown(module, add_volume, ball):
    from medsam2_protocol.prompts import LassoPrompt, PointPrompt

    module.volume = add_volume(ball)
    module.show(module.volume)
    line = ((15.0, 13.0), (29.0, 13.0), (29.0, 27.0), (15.0, 27.0))
    module.controller.onPromptPlaced(LassoPrompt("K", 10, line), "K")
    module.controller.onPromptPlaced(PointPrompt((22.0, 20.0, 12.0)), "K")
    module.controller.onPromptPlaced(PointPrompt((20.0, 22.0, 10.0), False), "K")
    return module


def looks(module):
    """How large and how bright each prompt is drawn."""
    displays = [node.GetDisplayNode() for node in module.controller.promptNodes()]
    return [
        (display.GetGlyphScale(), display.GetLineThickness(), sum(display.GetSelectedColor())) for display in displays
    ]


def test_the_prompt_chosen_in_the_list_stands_out_in_the_views(shown, wait_until):
    wait_until(lambda: not shown.controller.isBusy)
    newest = looks(shown)
    shown.ui.promptList.setCurrentRow(0)
    chosen = looks(shown)
    assert newest[2][0] > chosen[2][0]
    assert newest[2][2] > chosen[2][2]
    assert chosen[0][1] > newest[0][1]
    assert chosen[0][2] > newest[0][2]
    assert chosen[1] == newest[1]


def test_a_prompt_pressed_in_a_view_is_chosen_in_the_list(shown, mouse, wait_until):
    import slicer

    wait_until(lambda: not shown.controller.isBusy)
    slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, 12.0, False)
    slicer.app.processEvents()
    assert shown.ui.promptList.currentRow == 2
    mouse.move("Red", shown.volume, (22, 20, 12))
    mouse.press("Red", shown.volume, (22, 20, 12))
    mouse.release("Red", shown.volume, (22, 20, 12))
    assert shown.ui.promptList.currentRow == 1


def test_the_views_show_the_prompts_of_the_chosen_segment(shown, wait_until):
    wait_until(lambda: not shown.controller.isBusy)
    first, nodes = shown.parameters.segmentId, shown.controller.promptNodes()
    assert all(node.GetDisplayNode().GetVisibility() for node in nodes)
    shown.ui.addSegmentButton.click()
    assert not any(node.GetDisplayNode().GetVisibility() for node in nodes)
    shown.controller.chooseSegment(first)
    assert all(node.GetDisplayNode().GetVisibility() for node in nodes)


def red_view():
    import slicer

    slicer.app.processEvents()
    return slicer.app.layoutManager().sliceWidget("Red").sliceView().hostPixels().astype(int)


def test_a_lasso_is_drawn_on_its_own_slice_only(shown, mouse, wait_until):
    import slicer

    wait_until(lambda: not shown.controller.isBusy)
    shown.ui.promptList.setCurrentRow(0)
    drawn = {}
    for k in (9.0, 10.0, 11.0):
        slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, k, False)
        red, green, blue = np.moveaxis(red_view(), -1, 0)
        drawn[k] = int(((red > 200) & (green > 150) & (blue < 190) & (red > blue + 60)).sum())
    assert drawn[10.0] > 200
    assert drawn[9.0] < 20
    assert drawn[11.0] < 20


def test_choosing_a_prompt_changes_nothing_that_is_asked_or_undone(shown, wait_until):
    wait_until(lambda: not shown.controller.isBusy)
    shown.ui.promptList.setCurrentRow(0)
    shown.ui.promptList.setCurrentRow(1)
    wait_until(lambda: not shown.controller._prompts._rest.active)
    assert not shown.controller.isBusy
    shown.ui.undoButton.click()
    assert len(shown.controller.promptNodes()) == 2
