"""An oblique view is refused with a button that turns exactly that view to the volume's planes."""

import numpy as np
import pytest


def slice_node(name):
    import slicer

    return slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()


def matrix_of(node):
    matrix = node.GetSliceToRAS()
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def tilt(name, degrees=25.0):
    """Turn a view about its vertical, as with Slicer's reformat handles."""
    import vtk

    node = slice_node(name)
    turn = vtk.vtkTransform()
    turn.SetMatrix(node.GetSliceToRAS())
    turn.RotateY(degrees)
    turn.RotateX(degrees / 2)
    node.GetSliceToRAS().DeepCopy(turn.GetMatrix())
    node.UpdateMatrices()


def turned(angles, scale):
    matrix = np.eye(4)
    for axis, angle in enumerate(angles):
        turn = np.eye(4)
        a, b = [other for other in range(3) if other != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix @ np.diag([*scale, 1])


def test_a_prompt_in_an_oblique_view_offers_to_turn_it_and_then_works(shown, mouse, wait_until, screenshots):
    import slicer

    others = [matrix_of(slice_node(name)) for name in ("Green", "Yellow")]
    slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, 10.0, False)
    others = [matrix_of(slice_node(name)) for name in ("Green", "Yellow")]
    tilt("Red")
    mouse.key("B")
    mouse.drag("Red", shown.volume, (14, 12, 10), (30, 28, 10))
    assert "oblique" in shown.ui.messageLabel.text
    assert shown.ui.remedyButton.visible
    assert shown.ui.remedyButton.text == "Rotate Red to the volume plane"
    slicer.util.mainWindow().grab().save(str(screenshots / "oblique.png"))
    shown.ui.remedyButton.click()
    assert not shown.ui.remedyButton.visible
    assert shown.ui.boxButton.checked
    for name, before in zip(("Green", "Yellow"), others, strict=True):
        np.testing.assert_array_equal(matrix_of(slice_node(name)), before)
    mouse.drag("Red", shown.volume, (14, 12, 10), (30, 28, 10))
    wait_until(lambda: not shown.controller.isBusy)
    assert shown.controller.hasPreview, shown.ui.messageLabel.text


def test_another_message_takes_the_button_away(shown, mouse):
    tilt("Red")
    mouse.key("P")
    mouse.click("Red", shown.volume, (22, 20, 10))
    assert shown.ui.remedyButton.visible
    mouse.key("Esc")
    assert not shown.ui.remedyButton.visible


SHEARED = np.array([[0.8, 0.0, 0.1, 3], [0.0, 0.9, 0.6, -4], [0.0, 0.0, 2.5, 5], [0, 0, 0, 1.0]])
GEOMETRIES = {
    "oblique": turned((0.3, -0.2, 0.4), (0.8, 0.9, 2.5)),
    "flipped": turned((0.0, 0.0, 0.1), (-0.8, 0.9, -2.5)),
    "left-handed": turned((0.2, 0.3, -0.1), (0.8, -0.9, 2.5)),
}


@pytest.mark.parametrize("geometry", list(GEOMETRIES))
@pytest.mark.parametrize("is_moved", [False, True], ids=["alone", "transformed"])
@pytest.mark.parametrize("view", ["Red", "Green", "Yellow"])
def test_a_view_is_turned_to_the_nearest_plane_through_where_it_was(
    module, add_volume, scene, geometry, is_moved, view
):
    from MedSAM2SlicerLib.Geometry import VolumeFrame, viewNormal
    from MedSAM2SlicerLib.VolumePlane import rotateToVolumePlane

    volume = add_volume(np.zeros((20, 40, 44), np.int16), GEOMETRIES[geometry])
    if is_moved:
        put_under(scene, volume, turned((0.15, 0.1, -0.2), (1, 1, 1)))
    module.show(volume)
    tilt(view, 12)
    node = slice_node(view)
    before = matrix_of(node)
    assert rotateToVolumePlane(node, volume)
    after = matrix_of(node)
    assert VolumeFrame(volume).sliceAxisAlong(viewNormal(node), after[:3, 3]) is not None
    normal = after[:3, 2] / np.linalg.norm(after[:3, 2])
    assert abs(normal @ before[:3, 2]) == pytest.approx(
        max(abs(one @ before[:3, 2]) for one in VolumeFrame(volume).sliceNormals(before[:3, 3])), abs=0.02
    )
    assert abs(normal @ (after[:3, 3] - before[:3, 3])) < 1e-6


def test_a_view_is_turned_to_the_slices_of_a_sheared_volume(module, add_volume, scene):
    from MedSAM2SlicerLib.Geometry import VolumeFrame, viewNormal
    from MedSAM2SlicerLib.VolumePlane import rotateToVolumePlane

    volume = add_volume(np.zeros((20, 40, 44), np.int16))
    put_under(scene, volume, SHEARED)
    module.show(volume)
    tilt("Red", 15)
    assert rotateToVolumePlane(slice_node("Red"), volume)
    found = VolumeFrame(volume).sliceAxisAlong(viewNormal(slice_node("Red")), matrix_of(slice_node("Red"))[:3, 3])
    assert found == "K"


def put_under(scene, volume, matrix):
    from MedSAM2SlicerLib.Geometry import vtkMatrix

    parent = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    parent.SetMatrixTransformToParent(vtkMatrix(matrix))
    volume.SetAndObserveTransformNodeID(parent.GetID())
