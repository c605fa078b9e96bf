"""Oblique, flipped, left-handed, anisotropic, permuted, transformed: a prompt and a mask stay where they were put."""

import numpy as np
import pytest

SHAPE_KJI = (12, 30, 26)
SPACINGS_MM = [(1, 1, 1), (0.3, 0.3, 5), (5, 0.3, 0.3), (0.7, 2.5, 1.1)]
AXES = "IJK"


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def volume(add_volume):
    return add_volume(np.zeros(SHAPE_KJI, np.uint8))


@pytest.fixture
def parent(scene):
    return scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "parent")


@pytest.fixture
def roi(scene):
    return scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")


@pytest.fixture
def segmentation(scene, volume):
    from MedSAM2SlicerLib.SegmentWriter import addSegment, prepareSegmentation

    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    prepareSegmentation(node, volume)
    node.SetAttribute("segment", addSegment(node))
    return node


def random_rotation(rng):
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return rotation * np.sign(np.linalg.det(rotation))


def random_affine(rng):
    """Oblique or a permutation of the axes, flipped or not, so left-handed half of the time."""
    directions = np.eye(3)[rng.permutation(3)] if rng.random() < 0.4 else random_rotation(rng)
    directions = directions * rng.choice([-1, 1], 3)
    affine = np.eye(4)
    affine[:3, :3] = directions * SPACINGS_MM[rng.integers(len(SPACINGS_MM))]
    affine[:3, 3] = rng.uniform(-300, 300, 3)
    return affine


def random_rigid(rng):
    matrix = np.eye(4)
    matrix[:3, :3] = random_rotation(rng)
    matrix[:3, 3] = rng.uniform(-100, 100, 3)
    return matrix


def random_linear(rng):
    matrix = random_rigid(rng)
    matrix[:3, :3] = matrix[:3, :3] @ (np.eye(3) + rng.uniform(-0.2, 0.2, (3, 3)))
    return matrix


def place(volume, affine, parent=None, transform=None):
    from MedSAM2SlicerLib.Geometry import vtkMatrix

    volume.SetIJKToRASMatrix(vtkMatrix(affine))
    volume.SetAndObserveTransformNodeID(parent.GetID() if parent is not None else None)
    if parent is not None:
        parent.SetMatrixTransformToParent(vtkMatrix(transform))


def corners_of(axis, index, low, high):
    """The four corners of a rectangle on a slice, in IJK, in order around it."""
    pairs = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
    return np.insert(np.array(pairs, float), AXES.index(axis), index, axis=1)


def random_box(rng, axis):
    size = np.delete(np.array(SHAPE_KJI)[::-1], AXES.index(axis))
    edges = np.sort(rng.uniform(0, 1, (2, 2)) * (size - 1), axis=0)
    return int(rng.integers(SHAPE_KJI[2 - AXES.index(axis)])), edges[0], edges[1]


def normal_of(corners_world):
    normal = np.cross(corners_world[1] - corners_world[0], corners_world[3] - corners_world[0])
    return normal / np.linalg.norm(normal)


def drawn_and_read_back(volume, roi, axis, index, low, high):
    """World corners → slice axis and box → a markup in the scene → the box that is sent."""
    from MedSAM2SlicerLib.Geometry import VolumeFrame, boxOfRoi, boxOnSlice
    from MedSAM2SlicerLib.PromptForms import BoxForm
    from MedSAM2SlicerLib.PromptMarkups import follow

    frame = VolumeFrame(volume)
    corners_world = frame.worldFromIjk(corners_of(axis, index, low, high))
    found = frame.sliceAxisAlong(normal_of(corners_world), corners_world.mean(axis=0))
    assert found == axis
    follow(roi, volume)
    BoxForm().place(roi, frame, boxOnSlice(frame, corners_world, axis))
    return boxOfRoi(frame, volume, roi, axis)


@pytest.mark.parametrize("transform", [None, random_rigid, random_linear], ids=["alone", "rigid", "sheared"])
def test_a_box_comes_back_to_its_voxels_from_any_volume(volume, parent, roi, rng, transform):
    rounds = 250 if transform is None else 125
    worst = 0.0
    for _ in range(rounds):
        place(volume, random_affine(rng), parent if transform else None, transform(rng) if transform else None)
        for axis in AXES:
            index, low, high = random_box(rng, axis)
            box = drawn_and_read_back(volume, roi, axis, index, low, high)
            assert (box.axis, box.slice) == (axis, index)
            worst = max(worst, np.abs(np.array([box.min, box.max]) - [low, high]).max())
    assert worst <= 0.001


def test_a_mask_lies_where_its_voxels_lie(scene, volume, parent, segmentation, rng):
    from MedSAM2SlicerLib.SegmentWriter import SegmentWriter

    worst_shift = 0.0
    for turn in range(500):
        transform = random_linear if turn % 2 else random_rigid
        place(volume, random_affine(rng), parent if turn % 3 else None, transform(rng))
        segmentation.SetAndObserveTransformNodeID(parent.GetID() if turn % 5 == 0 else None)
        writer = SegmentWriter(volume, segmentation, segmentation.GetAttribute("segment"))
        writer.begin()
        axis = AXES[turn % 3]
        mask, region = random_region(rng, axis)
        writer.write(axis, mask, region)
        worst_shift = max(worst_shift, shift_in_voxels(volume, segmentation, region))
        writer.revert()
    assert worst_shift <= 0.1


def random_region(rng, axis):
    """An L, so that a flip moves its centroid."""
    from medsam2_protocol.masks import region_of_slice

    index = int(rng.integers(SHAPE_KJI[2 - AXES.index(axis)]))
    plane = np.zeros(np.delete(SHAPE_KJI, 2 - AXES.index(axis)), bool)
    plane[2:9, 3:5] = True
    plane[7:9, 3:10] = True
    return index, region_of_slice(plane, 2 - AXES.index(axis), index)


def shift_in_voxels(volume, segmentation, region):
    """Distance of the segment's centroid, taken through its own node to world, from that of the region's voxels."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    from MedSAM2SlicerLib.Geometry import VolumeFrame, transformBetween

    image = (
        segmentation.GetSegmentation()
        .GetSegment(segmentation.GetAttribute("segment"))
        .GetRepresentation("Binary labelmap")
    )
    i, j, k = image.GetDimensions()
    found = np.argwhere(vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k, j, i))[:, ::-1]
    image_to_node = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(image_to_node)
    centre = found.mean(axis=0) + np.array(image.GetExtent())[::2]
    centre_node = image_to_node.MultiplyPoint((*centre, 1))[:3]
    centre_world = transformBetween(segmentation, None).TransformPoint(centre_node)
    expected = (np.argwhere(region.voxels()) + region.start_kji).mean(axis=0)[::-1]
    assert len(found) == region.voxels().sum()
    return np.linalg.norm(VolumeFrame(volume).ijkFromWorld(np.array([centre_world]))[0] - expected)


@pytest.fixture
def bent(scene, volume):
    """A smooth non-linear transform of a few millimetres above the volume."""
    import vtk

    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.ndindex(2, 2, 2):
        point = np.array(corner) * (40.0, 40.0, 40.0) - 5
        source.InsertNextPoint(*point)
        target.InsertNextPoint(*(point + 2.5 * np.sin(point)))
    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    node.SetAndObserveTransformToParent(spline)
    volume.SetAndObserveTransformNodeID(node.GetID())
    return node


def test_a_box_comes_back_to_its_voxels_through_a_non_linear_transform(volume, roi, bent, rng):
    import slicer

    from MedSAM2SlicerLib.Geometry import VolumeFrame, transformBetween

    assert not slicer.vtkMRMLTransformNode.IsGeneralTransformLinear(transformBetween(volume, None))
    assert np.abs(VolumeFrame(volume).worldFromIjk([[10, 10, 5]]) - [10, 10, 5]).max() > 0.2
    for axis in AXES:
        for _ in range(20):
            index, low, high = random_box(rng, axis)
            box = drawn_and_read_back(volume, roi, axis, index, low, high)
            assert box.slice == index
            assert np.abs(np.array([box.min, box.max]) - [low, high]).max() <= 0.5


def test_a_mask_follows_its_volume_through_a_non_linear_transform(volume, segmentation, bent, rng):
    from MedSAM2SlicerLib.SegmentWriter import SegmentWriter

    segmentation.SetAndObserveTransformNodeID(bent.GetID())
    writer = SegmentWriter(volume, segmentation, segmentation.GetAttribute("segment"))
    writer.begin()
    index, region = random_region(rng, "K")
    writer.write("K", index, region)
    assert shift_in_voxels(volume, segmentation, region) <= 0.1


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("which", [0, -1], ids=["first", "last"])
def test_the_first_and_the_last_slice_take_a_box(volume, roi, rng, axis, which):
    place(volume, random_affine(rng))
    index = which % SHAPE_KJI[2 - AXES.index(axis)]
    box = drawn_and_read_back(volume, roi, axis, index, (2, 3), (8, 9))
    assert (box.slice, box.min, box.max) == (index, (2, 3), (8, 9))


def test_the_only_slice_of_a_picture_takes_a_box(add_volume, roi, rng):
    picture = add_volume(np.zeros((1, 30, 26), np.uint8), random_affine(rng))
    box = drawn_and_read_back(picture, roi, "K", 0, (2, 3), (8, 9))
    assert (box.slice, box.min, box.max) == (0, (2, 3), (8, 9))


def test_a_view_tilted_by_two_degrees_has_no_slice_axis_and_by_half_a_degree_it_has(volume):
    from MedSAM2SlicerLib.Geometry import VolumeFrame

    def axis_at(degrees):
        tilt = np.radians(degrees)
        return VolumeFrame(volume).sliceAxisAlong(np.array([0, np.sin(tilt), np.cos(tilt)]), np.array([5.0, 5, 5]))

    assert (axis_at(0.5), axis_at(2.0)) == ("K", None)


def test_a_plane_beyond_the_last_slice_has_no_box(volume):
    from MedSAM2SlicerLib.Geometry import VolumeFrame, boxOnSlice

    frame = VolumeFrame(volume)
    inside = frame.worldFromIjk(corners_of("K", SHAPE_KJI[0] - 0.6, (2, 3), (8, 9)))
    beyond = frame.worldFromIjk(corners_of("K", SHAPE_KJI[0] - 0.4, (2, 3), (8, 9)))
    assert boxOnSlice(frame, inside, "K").slice == SHAPE_KJI[0] - 1
    assert boxOnSlice(frame, beyond, "K") is None


def test_a_box_stays_where_it_is_seen_when_its_volume_is_moved(scene, volume, segmentation, parent):
    from medsam2_protocol.prompts import BoxPrompt
    from MedSAM2SlicerLib.PromptMarkups import addPrompt, readPrompt

    roi = addPrompt(volume, segmentation, "s", BoxPrompt("K", 5, (4, 4), (10, 12)), "K")
    shift = np.eye(4)
    shift[0, 3] = 3
    place(volume, np.eye(4), parent, shift)
    assert readPrompt(roi).min == (1, 4)


def test_a_box_is_drawn_around_the_voxels_it_means(volume, segmentation, rng):
    from medsam2_protocol.prompts import BoxPrompt
    from MedSAM2SlicerLib.Geometry import VolumeFrame
    from MedSAM2SlicerLib.PromptMarkups import addPrompt

    place(volume, random_affine(rng))
    roi = addPrompt(volume, segmentation, "s", BoxPrompt("J", 7, (2, 3), (8, 9)), "J")
    centre_world = VolumeFrame(volume).worldFromIjk([[5, 7, 6]])[0]
    np.testing.assert_allclose(roi.GetCenterWorld(), centre_world, atol=1e-6)
