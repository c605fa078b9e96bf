"""Masks from segments: exactly the right voxels, one slice or all, kept with the scene, and every way to get none."""

import numpy as np
import pytest

SHAPE_KJI = (20, 40, 44)


@pytest.fixture
def shown(module, add_volume, ball):
    """The entered module with the ball chosen and in the views, and every request in `asked`."""
    module.volume = add_volume(ball)
    module.show(module.volume)
    module.listen()
    return module


@pytest.fixture
def add_segmentation(scene):
    """``add_segmentation(masks_kji, volume, name)``: a segmentation with these segments on the voxels of a volume."""
    import slicer

    def add(masks, volume, name="Plan"):
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        parent = volume.GetParentTransformNode()
        node.SetAndObserveTransformNodeID(parent.GetID() if parent is not None else None)
        for title, mask in masks.items():
            segment_id = node.GetSegmentation().AddEmptySegment(title, title)
            slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), node, segment_id, volume)
        return node

    return add


def a_mask(*slices):
    """A lopsided shape, so that no mirroring goes unnoticed, on these K slices."""
    mask = np.zeros(SHAPE_KJI, bool)
    for k in slices:
        mask[k, 12:28, 15:30] = True
        mask[k, 12:16, 15:19] = False
        mask[k, 20:22, 30:34] = True
    return mask


def idle(module):
    return lambda: not module.controller.isBusy


def actions(menu):
    return {action.text: action for action in menu.actions()}


def choose(module, wait_until, segment, item):
    """Open the menu and choose an item of a segment's submenu."""
    menu = module.ui.fromSegmentButton.menu()
    menu.aboutToShow.emit()
    actions(actions(menu)[segment].menu())[item].trigger()
    wait_until(idle(module))


def rows(module):
    return [module.ui.promptList.item(row).text() for row in range(module.ui.promptList.count)]


def sent(module):
    return module.asked[-1].segment.prompts


def voxels_of(prompts):
    found = np.zeros(SHAPE_KJI, bool)
    for prompt in prompts:
        prompt.region.paste_into(found)
    return found


# ---- as a person does it


def test_the_shown_slice_of_another_segmentation_becomes_an_exact_mask(
    shown, wait_until, add_segmentation, screenshots
):
    import slicer

    plan = add_segmentation({"GTV old": a_mask(8, 10, 12)}, shown.volume)
    before = slicer.util.arrayFromSegmentBinaryLabelmap(plan, "GTV old", shown.volume)
    slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, 10.0, False)
    choose(shown, wait_until, "GTV old (Plan)", "Slice K10 (Red)")
    slicer.util.mainWindow().grab().save(str(screenshots / "mask.png"))
    assert rows(shown) == ["Mask, slice K10"]
    np.testing.assert_array_equal(voxels_of(sent(shown)), a_mask(10))
    after = slicer.util.arrayFromSegmentBinaryLabelmap(plan, "GTV old", shown.volume)
    np.testing.assert_array_equal(after, before)


def test_all_painted_slices_become_masks_in_one_step_and_propagate(shown, mouse, wait_until, add_segmentation):
    add_segmentation({"GTV old": a_mask(8, 10, 12)}, shown.volume)
    choose(shown, wait_until, "GTV old (Plan)", "All its slices")
    assert rows(shown) == ["Mask, slice K8", "Mask, slice K10", "Mask, slice K12"]
    assert "3 slices of GTV old along K" in shown.ui.messageLabel.text
    mouse.key("Space")
    wait_until(idle(shown))
    np.testing.assert_array_equal(voxels_of(shown.asked[-1].segments[0].prompts), a_mask(8, 10, 12))
    mouse.key("Ctrl+Z")
    mouse.key("Ctrl+Z")
    wait_until(idle(shown))
    assert rows(shown) == []
    mouse.key("Ctrl+Y")
    wait_until(idle(shown))
    assert rows(shown) == ["Mask, slice K8", "Mask, slice K10", "Mask, slice K12"]


def test_what_was_painted_by_hand_in_the_lesion_itself_is_used_without_the_preview(shown, mouse, wait_until):
    import slicer

    mouse.key("P")
    mouse.click("Red", shown.volume, (22, 20, 10))
    wait_until(idle(shown))
    shown.controller.removePrompt(shown.controller.promptNodes()[0])
    parameters = shown.parameters
    painted = a_mask(9, 11).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        painted, parameters.segmentation, parameters.segmentId, shown.volume
    )
    mouse.click("Red", shown.volume, (22, 20, 10))
    wait_until(idle(shown))
    assert shown.controller.hasPreview
    name = parameters.segmentation.GetSegmentation().GetSegment(parameters.segmentId).GetName()
    choose(shown, wait_until, name, "All its slices")
    masks = [prompt for prompt in map(read, shown.controller.promptNodes()) if type(prompt).__name__ == "MaskPrompt"]
    np.testing.assert_array_equal(voxels_of(masks), painted > 0)


def read(node):
    from MedSAM2SlicerLib.PromptMarkups import readPrompt

    return readPrompt(node)


def test_a_mask_taken_again_replaces_the_one_before(shown, wait_until, add_segmentation):
    import slicer

    plan = add_segmentation({"GTV old": a_mask(10)}, shown.volume)
    choose(shown, wait_until, "GTV old (Plan)", "All its slices")
    larger = a_mask(10)
    larger[10, 5:8, 20:30] = True
    slicer.util.updateSegmentBinaryLabelmapFromArray(larger.astype(np.uint8), plan, "GTV old", shown.volume)
    choose(shown, wait_until, "GTV old (Plan)", "All its slices")
    assert rows(shown) == ["Mask, slice K10"]
    np.testing.assert_array_equal(voxels_of(sent(shown)), larger)


def test_clicks_refine_a_mask(shown, mouse, wait_until, add_segmentation):
    add_segmentation({"GTV old": a_mask(10)}, shown.volume)
    choose(shown, wait_until, "GTV old (Plan)", "All its slices")
    mouse.key("M")
    mouse.click("Red", shown.volume, (26, 20, 10))
    wait_until(idle(shown))
    assert [type(prompt).__name__ for prompt in sent(shown)] == ["MaskPrompt", "PointPrompt"]
    assert not shown.mask(shown.volume)[10, 20, 26]


def test_masks_are_saved_with_the_scene_to_the_voxel_and_propagate_after_it_was_loaded(
    shown, wait_until, add_segmentation, tmp_path, app
):
    import slicer

    add_segmentation({"GTV old": a_mask(8, 12)}, shown.volume)
    choose(shown, wait_until, "GTV old (Plan)", "All its slices")
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    app.processEvents()
    shown.widget.enter()
    assert rows(shown) == ["Mask, slice K8", "Mask, slice K12"]
    shown.controller.propagate()
    wait_until(idle(shown))
    np.testing.assert_array_equal(voxels_of(shown.asked[-1].segments[0].prompts), a_mask(8, 12))


def test_a_mask_is_drawn_by_its_outline_and_cannot_be_pulled_away(shown, wait_until, add_segmentation):
    import slicer

    add_segmentation({"GTV old": a_mask(10)}, shown.volume)
    choose(shown, wait_until, "GTV old (Plan)", "All its slices")
    (node,) = slicer.util.getNodesByClass("vtkMRMLMarkupsClosedCurveNode")
    assert node.GetLocked()
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    np.testing.assert_allclose(bounds, [14.5, 33.5, 11.5, 27.5, 10, 10], atol=0.3)


# ---- on any grid


def rigid(angles, shift):
    matrix = np.eye(4)
    for axis, angle in enumerate(angles):
        turn = np.eye(4)
        a, b = [other for other in range(3) if other != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    matrix[:3, 3] = shift
    return matrix


OBLIQUE = rigid((0.2, -0.3, 0.4), (10, -20, 30)) @ np.diag([0.8, 0.9, 2.5, 1])
FLIPPED = rigid((0.0, 0.0, 0.0), (40, 35, -10)) @ np.diag([-0.8, -0.9, 2.5, 1])
LEFT_HANDED = rigid((0.3, 0.1, -0.2), (5, 6, 7)) @ np.diag([0.8, 0.9, -2.5, 1])


@pytest.mark.parametrize("ijk_to_ras", [OBLIQUE, FLIPPED, LEFT_HANDED], ids=["oblique", "flipped", "left-handed"])
@pytest.mark.parametrize("axis", ["I", "J", "K"])
@pytest.mark.parametrize("is_moved", [False, True], ids=["alone", "transformed"])
def test_a_mask_is_on_the_voxels_of_any_volume(add_volume, add_segmentation, scene, ijk_to_ras, axis, is_moved):
    from medsam2_protocol.prompts import axis_kji
    from MedSAM2SlicerLib.SegmentMasks import SegmentOnVolume

    volume = add_volume(np.zeros(SHAPE_KJI, np.int16), ijk_to_ras)
    move(scene, volume if is_moved else None)
    mask = a_mask(8, 9, 10)
    segment = SegmentOnVolume(volume, add_segmentation({"s": mask}, volume), "s")
    along = axis_kji(axis)
    occupied = np.flatnonzero(mask.any(axis=tuple(n for n in range(3) if n != along))).tolist()
    assert segment.slices(axis) == occupied
    found = voxels_of(segment.prompt(axis, index) for index in occupied)
    np.testing.assert_array_equal(found, mask)


def move(scene, node, matrix=None):
    from MedSAM2SlicerLib.Geometry import vtkMatrix

    if node is not None:
        parent = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        parent.SetMatrixTransformToParent(vtkMatrix(rigid((0.5, 0.2, -0.6), (12, -3, 8)) if matrix is None else matrix))
        node.SetAndObserveTransformNodeID(parent.GetID())


@pytest.mark.parametrize("is_moved", [False, True], ids=["alone", "volume transformed"])
def test_a_segment_on_another_grid_gives_every_voxel_what_lies_at_its_centre(
    add_volume, add_segmentation, scene, is_moved
):
    """A fine, turned grid against a coarse, oblique one, compared with a search by hand."""
    from MedSAM2SlicerLib.Geometry import VolumeFrame
    from MedSAM2SlicerLib.SegmentMasks import SegmentOnVolume

    fine = add_volume(
        np.zeros((40, 50, 60), np.int16), rigid((-0.3, 0.1, 0.2), (0, 0, 0)) @ np.diag([0.6, 0.5, 1.1, 1])
    )
    inside = np.zeros((40, 50, 60), bool)
    inside[10:30, 15:40, 12:45] = True
    inside[10:20, 15:25, 12:20] = False
    segmentation = add_segmentation({"s": inside}, fine, "Fine")
    coarse = add_volume(
        np.zeros((12, 20, 24), np.int16), rigid((0.1, 0.2, -0.1), (2, 1, 0)) @ np.diag([1.4, 1.6, 3, 1])
    )
    move(scene, coarse if is_moved else None, rigid((0.1, 0.05, -0.1), (1, -1, 2)))
    k, j, i = (axis.ravel() for axis in np.mgrid[:12, :20, :24])
    world = VolumeFrame(coarse).worldFromIjk(np.stack([i, j, k], axis=1).astype(float))
    nearest = np.floor(VolumeFrame(fine).ijkFromWorld(world) + 0.5).astype(int)
    within = ((nearest >= 0) & (nearest < [60, 50, 40])).all(axis=1)
    expected = np.zeros(len(i), bool)
    expected[within] = inside[nearest[within, 2], nearest[within, 1], nearest[within, 0]]
    expected = expected.reshape(12, 20, 24)
    segment = SegmentOnVolume(coarse, segmentation, "s")
    found = np.zeros((12, 20, 24), bool)
    for index in segment.slices("K"):
        segment.prompt("K", index).region.paste_into(found)
    assert expected.any()
    np.testing.assert_array_equal(found, expected)


def test_a_surface_is_turned_into_voxels_of_the_volume_and_stays_a_surface(add_volume, scene):
    """As contours of a treatment plan come: there is no labelmap."""
    import slicer
    import vtk

    from MedSAM2SlicerLib.SegmentMasks import SegmentOnVolume

    volume = add_volume(np.zeros(SHAPE_KJI, np.int16))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Plan")
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    sphere = vtk.vtkSphereSource()
    sphere.SetCenter(22, 20, 10)
    sphere.SetRadius(6)
    sphere.SetThetaResolution(64)
    sphere.SetPhiResolution(64)
    sphere.Update()
    segment_id = node.AddSegmentFromClosedSurfaceRepresentation(sphere.GetOutput(), "GTV", [1, 0, 0])
    segment = SegmentOnVolume(volume, node, segment_id)
    k, j, i = np.mgrid[:20, :40, :44]
    expected = (i - 22) ** 2 + (j - 20) ** 2 + (k - 10) ** 2 < 36
    found = voxels_of(segment.prompt("K", index) for index in segment.slices("K"))
    assert 2 * (found & expected).sum() / (found.sum() + expected.sum()) > 0.93
    assert list(slicer_representations(node)) == ["Closed surface"]
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1


def slicer_representations(node):
    names = []
    node.GetSegmentation().GetContainedRepresentationNames(names)
    return names


@pytest.mark.parametrize(("slices", "spacing", "axis"), [((8, 12), (1, 1, 1), "K"), ((8, 9, 10), (1, 3, 1), "J")])
def test_the_axis_is_the_painted_one_or_that_of_the_volume(add_volume, add_segmentation, slices, spacing, axis):
    from MedSAM2SlicerLib.SegmentMasks import SegmentOnVolume

    volume = add_volume(np.zeros(SHAPE_KJI, np.int16), np.diag([*spacing, 1.0]))
    assert SegmentOnVolume(volume, add_segmentation({"s": a_mask(*slices)}, volume), "s").paintedAxis() == axis


# ---- none to be had


def test_a_slice_without_the_segment_is_refused_and_nothing_is_lost(shown, mouse, wait_until, add_segmentation):
    import slicer

    add_segmentation({"GTV old": a_mask(10)}, shown.volume)
    mouse.key("P")
    mouse.click("Red", shown.volume, (22, 20, 10))
    wait_until(idle(shown))
    slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, 3.0, False)
    choose(shown, wait_until, "GTV old (Plan)", "Slice K3 (Red)")
    assert "GTV old has no voxel on slice K3" in shown.ui.messageLabel.text
    assert rows(shown) == ["Point +, slice K10"]


def test_an_empty_segment_is_refused(shown, wait_until, scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Plan")
    node.GetSegmentation().AddEmptySegment("new", "new")
    choose(shown, wait_until, "new (Plan)", "All its slices")
    assert "new is empty" in shown.ui.messageLabel.text


def test_a_segment_outside_the_volume_is_refused(shown, wait_until, add_volume, add_segmentation):
    far = np.eye(4)
    far[:3, 3] = 500
    elsewhere = add_volume(np.zeros(SHAPE_KJI, np.int16), far, "elsewhere")
    add_segmentation({"s": a_mask(10)}, elsewhere)
    choose(shown, wait_until, "s (Plan)", "All its slices")
    assert "s has no voxel in CT" in shown.ui.messageLabel.text


@pytest.mark.parametrize("what", ["segmentation", "segment"])
def test_a_segment_deleted_while_the_menu_is_open_is_refused(shown, wait_until, add_segmentation, scene, what):
    plan = add_segmentation({"GTV old": a_mask(10)}, shown.volume)
    menu = shown.ui.fromSegmentButton.menu()
    menu.aboutToShow.emit()
    action = actions(actions(menu)["GTV old (Plan)"].menu())["All its slices"]
    if what == "segmentation":
        scene.RemoveNode(plan)
    else:
        plan.GetSegmentation().RemoveSegment("GTV old")
    action.trigger()
    assert "was deleted" in shown.ui.messageLabel.text
    assert rows(shown) == []


def test_the_segmentation_that_a_mask_came_from_may_be_deleted(shown, mouse, wait_until, add_segmentation, scene):
    plan = add_segmentation({"GTV old": a_mask(10)}, shown.volume)
    choose(shown, wait_until, "GTV old (Plan)", "All its slices")
    scene.RemoveNode(plan)
    mouse.key("Space")
    wait_until(idle(shown))
    np.testing.assert_array_equal(voxels_of(shown.asked[-1].segments[0].prompts), a_mask(10))


def test_without_any_segment_the_menu_says_so(shown):
    menu = shown.ui.fromSegmentButton.menu()
    menu.aboutToShow.emit()
    assert list(actions(menu)) == ["There is no segment in the scene"]


def test_two_bent_differently_are_refused(add_volume, add_segmentation, scene):
    import slicer
    import vtk

    from MedSAM2SlicerLib.SegmentMasks import NoMask, SegmentOnVolume

    volume = add_volume(np.zeros(SHAPE_KJI, np.int16))
    segmentation = add_segmentation({"s": a_mask(10)}, volume)
    spline = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for place, moved in (
        ((0, 0, 0), (0, 0, 1)),
        ((40, 0, 0), (40, 0, 0)),
        ((0, 40, 0), (0, 40, 3)),
        ((0, 0, 19), (0, 5, 19)),
    ):
        source.InsertNextPoint(place)
        target.InsertNextPoint(moved)
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    spline.SetBasisToR()
    bent = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    bent.SetAndObserveTransformToParent(spline)
    volume.SetAndObserveTransformNodeID(bent.GetID())
    with pytest.raises(NoMask, match="different non-linear transforms"):
        SegmentOnVolume(volume, segmentation, "s")
    assert slicer.mrmlScene.IsNodePresent(segmentation)
