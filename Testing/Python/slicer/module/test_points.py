"""Points: clicks that belong to the object or do not. One is enough, and together with a box they refine a slice."""

import numpy as np
import pytest


@pytest.fixture
def shown(module, add_volume, ball):
    """The entered module with the ball chosen and in the views, and every request in `asked`."""
    module.volume = add_volume(ball)
    module.show(module.volume)
    module.listen()
    return module


def idle(module):
    return lambda: not module.controller.isBusy


def click(module, mouse, wait_until, ijk, key="P", view="Red", modifier="NoModifier"):
    if module.controller.armedTool != {"P": "positive", "M": "negative"}[key]:
        mouse.key(key)
    mouse.click(view, module.volume, ijk, modifier)
    wait_until(idle(module))


def points():
    import slicer

    return slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")


def test_one_click_in_the_object_is_enough_for_a_segment(shown, mouse, wait_until, ball):
    click(shown, mouse, wait_until, (22, 20, 10))
    assert shown.controller.hasPreview, shown.controller.message
    mouse.key("Space")
    wait_until(idle(shown))
    expected = ball > 0
    expected[:7] = expected[14:] = False
    np.testing.assert_array_equal(shown.mask(shown.volume), expected)


@pytest.mark.parametrize(
    ("view", "ijk", "axis"), [("Red", (24, 18, 10), "K"), ("Green", (24, 20, 12), "J"), ("Yellow", (22, 18, 12), "I")]
)
def test_a_click_predicts_the_slice_of_its_view(shown, mouse, wait_until, view, ijk, axis):
    import slicer

    slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, 10.0, False)
    click(shown, mouse, wait_until, ijk, view=view)
    asked = shown.asked[-1]
    assert (asked.axis, asked.slice) == (axis, ijk["IJK".index(axis)])
    np.testing.assert_allclose(asked.segment.prompts[0].ijk, ijk, atol=0.5)


@pytest.mark.parametrize("modifier", ["ShiftModifier", "AltModifier"])
def test_a_click_with_shift_or_alt_means_the_opposite(shown, mouse, wait_until, modifier):
    click(shown, mouse, wait_until, (22, 20, 10))
    click(shown, mouse, wait_until, (26, 20, 10), modifier=modifier)
    assert [point.positive for point in shown.asked[-1].segment.prompts] == [True, False]
    assert not shown.mask(shown.volume)[10, 20, 26]


def test_a_double_click_is_one_point_and_leaves_the_layout_alone(shown, mouse, wait_until):
    import slicer

    click(shown, mouse, wait_until, (22, 20, 10))
    mouse.press_again("Red", shown.volume, (22, 20, 10))
    mouse.release("Red", shown.volume, (22, 20, 10))
    wait_until(idle(shown))
    assert slicer.app.layoutManager().layoutLogic().GetLayoutNode().GetNumberOfMaximizedViewNodes() == 0
    assert len(shown.controller.promptNodes()) == 1
    assert shown.ui.positiveButton.checked


def test_slicers_own_place_mode_goes_on_placing_into_the_list_of_the_user(shown, mouse, wait_until):
    import slicer

    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Mine")
    selection = slicer.app.applicationLogic().GetSelectionNode()
    assert selection.GetActivePlaceNodeID() == own.GetID()
    click(shown, mouse, wait_until, (22, 20, 10))
    mouse.key("B")
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(idle(shown))
    assert len(shown.controller.promptNodes()) == 2
    assert selection.GetActivePlaceNodeID() == own.GetID()
    assert selection.GetActivePlaceNodeClassName() == "vtkMRMLMarkupsFiducialNode"


def test_the_tool_stays_in_the_hand_until_it_is_put_away(shown, mouse, wait_until):
    click(shown, mouse, wait_until, (22, 20, 10))
    assert shown.ui.positiveButton.checked
    mouse.right_click("Red")
    assert not shown.ui.positiveButton.checked
    mouse.key("M")
    assert shown.ui.negativeButton.checked
    mouse.key("B")
    assert shown.ui.boxButton.checked
    assert not shown.ui.negativeButton.checked


def test_a_box_and_points_refine_each_other_in_the_order_in_which_they_were_made(shown, mouse, wait_until):
    click(shown, mouse, wait_until, (22, 20, 10))
    shown.controller.setBoxArmed(True)
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(idle(shown))
    click(shown, mouse, wait_until, (26, 20, 10), key="M")
    kinds = [type(prompt).__name__ for prompt in shown.asked[-1].segment.prompts]
    assert kinds == ["PointPrompt", "BoxPrompt", "PointPrompt"]
    assert shown.mask(shown.volume)[10, 20, 20]
    assert not shown.mask(shown.volume)[10, 20, 26]


def test_a_negative_point_alone_asks_for_the_object(shown, mouse, wait_until):
    click(shown, mouse, wait_until, (22, 20, 10), key="M")
    assert "Click into the object first" in shown.ui.messageLabel.text
    assert not shown.controller.hasPreview


def test_points_have_the_colour_of_their_sign(shown, mouse, wait_until):
    click(shown, mouse, wait_until, (22, 20, 10))
    click(shown, mouse, wait_until, (26, 20, 10), key="M")
    positive, negative = (node.GetDisplayNode().GetSelectedColor() for node in points())
    assert positive[1] > positive[0]
    assert negative[0] > negative[1]


def test_a_point_that_is_dragged_gives_a_new_preview(shown, mouse, wait_until):
    click(shown, mouse, wait_until, (22, 20, 10))
    points()[0].SetNthControlPointPositionWorld(0, 20.0, 19.0, 10.0)
    wait_until(lambda: shown.controller.isBusy)
    wait_until(idle(shown))
    assert shown.asked[-1].segment.prompts[0].ijk == (20, 19, 10)


def test_a_point_deleted_in_a_view_is_gone_with_its_preview(shown, mouse, wait_until):
    click(shown, mouse, wait_until, (22, 20, 10))
    points()[0].RemoveAllControlPoints()
    wait_until(lambda: points() == [])
    assert not shown.controller.hasPreview
    assert not shown.mask(shown.volume).any()


def test_a_click_outside_the_volume_is_refused(shown, mouse, wait_until):
    click(shown, mouse, wait_until, (47, 5, 10))
    assert "outside" in shown.ui.messageLabel.text
    assert points() == []


def test_points_are_saved_with_the_scene_and_propagate_after_it_was_loaded(shown, mouse, wait_until, tmp_path, app):
    import slicer

    click(shown, mouse, wait_until, (22, 20, 10))
    click(shown, mouse, wait_until, (28, 20, 10), key="M")
    before = shown.asked[-1].segment.prompts
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    app.processEvents()
    shown.widget.enter()
    shown.controller.propagate()
    wait_until(idle(shown))
    assert shown.asked[-1].segments[0].prompts == before


def test_a_point_stays_on_its_voxel_under_an_oblique_parent_transform(module, add_volume, ball, scene):
    from medsam2_protocol.prompts import PointPrompt
    from MedSAM2SlicerLib.Geometry import vtkMatrix
    from MedSAM2SlicerLib.PromptMarkups import addPrompt, readPrompt

    oblique = np.array([[0.28, -0.56, 1.9, 20], [0.26, 0.59, 1.5, -7], [-0.6, 0.0, 1.75, 11], [0, 0, 0, 1]])
    volume = add_volume(ball, oblique)
    parent = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    parent.SetMatrixTransformToParent(
        vtkMatrix(np.array([[0.8, 0.6, 0, 5], [-0.6, 0.8, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1.0]]))
    )
    volume.SetAndObserveTransformNodeID(parent.GetID())
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node = addPrompt(volume, segmentation, "s", PointPrompt((12.5, 7.25, 3), False), "K")
    assert readPrompt(node) == PointPrompt((12.5, 7.25, 3), False)
