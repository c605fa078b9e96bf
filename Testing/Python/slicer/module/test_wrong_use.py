"""What goes wrong elsewhere: volumes that lie otherwise than expected, the first and last slice, a machine offline.

`docs/wrong-use.md` lists all such cases and the tests that hold them; those that have no other place are here.
"""

import socket
import sys

import numpy as np
import pytest

REACH = 3  # of the fake engine: slices to each side of a prompted one


@pytest.fixture
def ellipsoid():
    """Voxels KJI, of another size along every axis and off the centre; bright on black."""
    k, j, i = np.mgrid[:26, :32, :38]
    inside = ((k - 12) / 7) ** 2 + ((j - 15) / 9) ** 2 + ((i - 20) / 11) ** 2 < 1
    return (200 * inside).astype(np.int16)


def affine(columns, spacing):
    """IJK to RAS of a volume whose I, J and K run along these directions."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(columns, float).T * spacing
    matrix[:3, 3] = (13.0, -21.5, 340.0)
    return matrix


R, A, S = np.eye(3)
ANISOTROPIC = (0.8, 0.7, 2.5)
LAYS = {
    "as RAS": affine((R, A, S), (1, 1, 1)),
    "as most CT": affine((-R, -A, S), ANISOTROPIC),
    "left-handed": affine((-R, A, S), ANISOTROPIC),
    "upside down": affine((-R, A, -S), ANISOTROPIC),
    "sagittal": affine((A, -S, R), ANISOTROPIC),
    "coronal": affine((R, -S, A), ANISOTROPIC),
    "I is up": affine((S, R, A), ANISOTROPIC),
    "J is up": affine((R, S, -A), ANISOTROPIC),
}


@pytest.mark.parametrize("isMoved", [False, True], ids=["in place", "under a linear transform"])
@pytest.mark.parametrize("lie", LAYS)
def test_a_mask_lies_on_its_voxels_however_the_volume_lies(
    module, add_volume, scene, ellipsoid, mouse, wait_until, lie, isMoved
):
    """A box drawn in the red view and propagated: the voxels, and their place in the world."""
    import slicer

    from MedSAM2SlicerLib.Geometry import vtkMatrix

    volume = module.volume = add_volume(ellipsoid, LAYS[lie])
    to_world = LAYS[lie]
    if isMoved:
        parent = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        shift = np.array([[1, 0, 0, 31.0], [0, 1, 0, -12.0], [0, 0, 1, 7.5], [0, 0, 0, 1]])
        parent.SetMatrixTransformToParent(vtkMatrix(shift))
        volume.SetAndObserveTransformNodeID(parent.GetID())
        to_world = shift @ to_world
    module.show(volume)
    centre_ijk = np.array([20.0, 15.0, 12.0])
    along = int(np.argmax(np.abs(to_world[2, :3])))  # the axis of IJK that goes up, through the red view
    centre_world = to_world[:3, :3] @ centre_ijk + to_world[:3, 3]
    slicer.modules.markups.logic().JumpSlicesToLocation(*[float(value) for value in centre_world], False)
    slicer.app.processEvents()
    half = np.array([13.0, 11.0, 9.0])
    half[along] = 0
    module.controller.setBoxArmed(True)
    mouse.drag("Red", volume, centre_ijk - half, centre_ijk + half)
    wait_until(lambda: not module.controller.isBusy)
    assert module.controller.hasPreview, module.controller.message
    module.controller.propagate()
    wait_until(lambda: not module.controller.isBusy)
    expected = np.moveaxis(ellipsoid > 0, 2 - along, 0).copy()
    centre = int(centre_ijk[along])
    expected[: centre - REACH] = expected[centre + REACH + 1 :] = False
    expected = np.moveaxis(expected, 0, 2 - along)
    found = module.mask(volume)
    np.testing.assert_array_equal(found > 0, expected)
    parameters = module.parameters
    center_ras = np.array(parameters.segmentation.GetSegmentCenter(parameters.segmentId))
    spread = np.argwhere(expected)[:, ::-1]
    middle = (spread.min(axis=0) + spread.max(axis=0)) / 2
    expected_ras = (LAYS[lie][:3, :3] @ middle) + LAYS[lie][:3, 3]
    assert np.abs(center_ras - expected_ras).max() <= 1.3  # Slicer gives the centre of a voxel


@pytest.mark.parametrize("index", [0, 19], ids=["first", "last"])
def test_the_first_and_the_last_slice_are_slices(module, add_volume, mouse, wait_until, index):
    voxels = np.zeros((20, 40, 44), np.int16)
    voxels[:, 12:28, 14:30] = 200
    volume = module.volume = add_volume(voxels)
    module.show(volume)
    import slicer

    slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, float(index), False)
    slicer.app.processEvents()
    module.controller.setBoxArmed(True)
    mouse.drag("Red", volume, (10, 8, index), (34, 32, index))
    wait_until(lambda: not module.controller.isBusy)
    assert module.controller.hasPreview, module.controller.message
    assert np.flatnonzero(module.mask(volume).any(axis=(1, 2))).tolist() == [index]
    module.controller.propagate()
    wait_until(lambda: not module.controller.isBusy)
    reached = [one for one in range(index - REACH, index + REACH + 1) if 0 <= one < 20]
    assert np.flatnonzero(module.mask(volume).any(axis=(1, 2))).tolist() == reached


def test_voxels_window_and_display_are_the_users_before_and_after(module, add_volume, ball, mouse, wait_until):
    import slicer

    volume = module.volume = add_volume(ball)
    module.show(volume)
    display = volume.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(350.0, 40.0)

    def state():
        scalars = volume.GetImageData().GetPointData().GetScalars()
        stamps = volume.GetImageData().GetMTime(), scalars.GetMTime(), display.GetMTime()
        return stamps, display.GetWindow(), display.GetLevel(), slicer.util.arrayFromVolume(volume).tobytes()

    before = state()
    module.controller.setBoxArmed(True)
    mouse.drag("Red", volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: not module.controller.isBusy)
    module.controller.propagate()
    wait_until(lambda: not module.controller.isBusy)
    module.controller.undo()
    wait_until(lambda: not module.controller.isBusy)
    assert state() == before


def test_slicer_starts_and_the_module_opens_offline(module, monkeypatch, app):
    """Nobody connects anywhere: not when the module is loaded, entered, or told that Slicer has started."""
    import slicer

    def refuse(*_arguments, **_named):
        raise AssertionError("somebody wanted to connect")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    slicer.util.reloadScriptedModule("MedSAM2Slicer")
    module.leave()
    module.enter()
    sys.modules["MedSAM2Slicer"].onStartupCompleted()
    app.processEvents()
    assert slicer.modules.MedSAM2SlicerWidget.engine.state == "stopped"


def test_opening_the_module_brings_no_torch_and_no_dialog(module, app):
    import qt
    import slicer

    before = set(map(id, slicer.app.topLevelWidgets()))
    slicer.util.reloadScriptedModule("MedSAM2Slicer")
    module.leave()
    module.enter()
    app.processEvents()
    new = [widget for widget in slicer.app.topLevelWidgets() if id(widget) not in before and widget.visible]
    assert [widget for widget in new if widget.inherits("QDialog")] == []
    assert qt.QApplication.activeModalWidget() is None
    assert not {"torch", "medsam2_engine"} & set(sys.modules)


def test_a_volume_without_voxels_is_said_to_have_none(module, scene, mouse, add_volume, ball, wait_until):
    other = add_volume(ball)
    module.show(other)
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing")
    module.show(empty)
    module.ui.fromSegmentButton.menu().aboutToShow.emit()
    module.controller.setBoxArmed(True)
    mouse.drag("Red", other, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: not module.controller.isBusy)
    assert "Nothing has no voxels" in module.controller.message
    assert module.parameters.segmentation is None
