"""Exactly one slice of one segment changes, and everything can be put back."""

import time

import numpy as np
import pytest

SHAPE_KJI = (12, 30, 26)
LABELMAP = "Binary labelmap"
SURFACE = "Closed surface"


@pytest.fixture
def volume(add_volume):
    return add_volume(np.zeros(SHAPE_KJI, np.uint8))


@pytest.fixture
def segmentation(scene, volume):
    from MedSAM2SlicerLib.SegmentWriter import prepareSegmentation

    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Result")
    prepareSegmentation(node, volume)
    return node


@pytest.fixture
def writer(volume, segmentation):
    """Begun, on a new segment."""
    return begun(volume, segmentation, new_segment(segmentation))


def new_segment(segmentation):
    from MedSAM2SlicerLib.SegmentWriter import addSegment

    return addSegment(segmentation)


def begun(volume, segmentation, segment):
    from MedSAM2SlicerLib.SegmentWriter import SegmentWriter

    writer = SegmentWriter(volume, segmentation, segment)
    writer.begin()
    return writer


def square(low, high):
    plane = np.zeros(SHAPE_KJI[1:], bool)
    plane[low:high, low:high] = True
    return plane


def write(writer, plane, index, axis_kji=0):
    from medsam2_protocol.masks import region_of_slice

    writer.write("KJI"[axis_kji], index, region_of_slice(plane, axis_kji, index))


def voxels(segmentation, segment, volume):
    import slicer

    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment, volume)


def painted(segmentation, volume, mask, name="painted", segment=None):
    """A segment as Slicer makes it."""
    import slicer

    segment = segment or segmentation.GetSegmentation().AddEmptySegment(name, name)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation, segment, volume)
    return segment


def share_one_layer(segmentation, one, other):
    segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert image_of(segmentation, one) is image_of(segmentation, other)


def block(low=4, high=9):
    mask = np.zeros(SHAPE_KJI, bool)
    mask[low:high, low:high, low:high] = True
    return mask


def image_of(segmentation, segment):
    return segmentation.GetSegmentation().GetSegment(segment).GetRepresentation(LABELMAP)


def state_of(segmentation, segment):
    """Everything that a labelmap is: extent, geometry, type, bytes."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    image, matrix = image_of(segmentation, segment), vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    scalars = image.GetPointData().GetScalars()
    elements = tuple(matrix.GetElement(row, column) for row in range(4) for column in range(4))
    content = vtk_to_numpy(scalars).tobytes() if scalars is not None else b""
    return image.GetExtent(), elements, image.GetScalarType(), content


@pytest.mark.parametrize("axis_kji", [0, 1, 2])
def test_a_slice_becomes_exactly_the_region(writer, segmentation, volume, axis_kji):
    plane = np.random.default_rng(1).random(np.delete(SHAPE_KJI, axis_kji)) > 0.6
    write(writer, plane, 7, axis_kji)
    expected = np.zeros(SHAPE_KJI, bool)
    np.moveaxis(expected, axis_kji, 0)[7] = plane
    np.testing.assert_array_equal(voxels(segmentation, writer.segmentId, volume), expected)


def test_writing_a_slice_again_replaces_it(writer, segmentation, volume):
    write(writer, square(2, 20), 7)
    write(writer, square(5, 9), 7)
    np.testing.assert_array_equal(voxels(segmentation, writer.segmentId, volume)[7], square(5, 9))


def test_an_empty_region_clears_its_slice_only(writer, segmentation, volume):
    for index in (6, 7, 8):
        write(writer, square(5, 9), index)
    write(writer, np.zeros(SHAPE_KJI[1:], bool), 7)
    found = voxels(segmentation, writer.segmentId, volume)
    assert found.any(axis=(1, 2)).nonzero()[0].tolist() == [6, 8]


def test_slices_that_come_in_any_order_all_stay(writer, segmentation, volume):
    for index in (5, 6, 4, 11, 0, 7):
        write(writer, square(index, index + 9), index)
    writer.end()
    found = voxels(segmentation, writer.segmentId, volume)
    for index in (5, 6, 4, 11, 0, 7):
        np.testing.assert_array_equal(found[index], square(index, index + 9))


def test_content_on_other_slices_stays(segmentation, volume):
    segment = painted(segmentation, volume, block())
    writer = begun(volume, segmentation, segment)
    write(writer, square(12, 20), 6)
    writer.end()
    expected = block()
    expected[6] = square(12, 20)
    np.testing.assert_array_equal(voxels(segmentation, segment, volume), expected)


def test_a_segment_on_a_shared_layer_does_not_erase_its_neighbours(segmentation, volume):
    first = painted(segmentation, volume, block(2, 6), "first")
    second = painted(segmentation, volume, block(8, 11), "second")
    share_one_layer(segmentation, first, second)
    writer = begun(volume, segmentation, second)
    write(writer, square(0, 20), 4)
    writer.end()
    np.testing.assert_array_equal(voxels(segmentation, first, volume), block(2, 6))
    np.testing.assert_array_equal(voxels(segmentation, second, volume)[4], square(0, 20))


def test_segments_may_overlap(volume, segmentation):
    one, two = begun(volume, segmentation, new_segment(segmentation)), None
    write(one, square(3, 12), 5)
    one.end()
    two = begun(volume, segmentation, new_segment(segmentation))
    write(two, square(6, 15), 5)
    two.end()
    np.testing.assert_array_equal(voxels(segmentation, one.segmentId, volume)[5], square(3, 12))
    np.testing.assert_array_equal(voxels(segmentation, two.segmentId, volume)[5], square(6, 15))


@pytest.mark.parametrize("label", [3, 400])
def test_the_segments_own_label_value_is_kept(segmentation, volume, label):
    import slicer

    segment = painted(segmentation, volume, block())
    slicer.vtkOrientedImageDataResample.CastImageForValue(image_of(segmentation, segment), label)
    from vtk.util.numpy_support import vtk_to_numpy

    vtk_to_numpy(image_of(segmentation, segment).GetPointData().GetScalars())[...] *= label
    segmentation.GetSegmentation().GetSegment(segment).SetLabelValue(label)
    writer = begun(volume, segmentation, segment)
    write(writer, square(12, 20), 6)
    assert set(np.unique(vtk_to_numpy(image_of(segmentation, segment).GetPointData().GetScalars()))) == {0, label}
    writer.end()
    np.testing.assert_array_equal(voxels(segmentation, segment, volume)[6], square(12, 20))


@pytest.mark.parametrize("kind", ["own", "shared", "empty"])
def test_revert_brings_back_every_bit(segmentation, volume, kind):
    other = painted(segmentation, volume, block(9, 11), "other") if kind == "shared" else None
    segment = new_segment(segmentation) if kind == "empty" else painted(segmentation, volume, block())
    if other:
        share_one_layer(segmentation, other, segment)
    expected = voxels(segmentation, segment, volume)
    begun(volume, segmentation, segment).revert()
    before = state_of(segmentation, segment)
    writer = begun(volume, segmentation, segment)
    for index in (0, 5, 6, 11):
        write(writer, square(1, 25), index)
    assert writer.revert()
    assert state_of(segmentation, segment) == before
    np.testing.assert_array_equal(voxels(segmentation, segment, volume), expected)
    if other:
        np.testing.assert_array_equal(voxels(segmentation, other, volume), block(9, 11))


def test_a_change_that_writes_nothing_leaves_the_labelmap_alone(segmentation, volume):
    segment = painted(segmentation, volume, block())
    image = image_of(segmentation, segment)
    stamp = image.GetMTime()
    writer = begun(volume, segmentation, segment)
    writer.revert()
    assert (image_of(segmentation, segment), image_of(segmentation, segment).GetMTime()) == (image, stamp)


def test_what_a_hand_does_before_the_first_slice_is_written_survives_the_revert(segmentation, volume):
    segment = painted(segmentation, volume, block())
    writer = begun(volume, segmentation, segment)
    painted(segmentation, volume, block(10, 12), segment=segment)
    write(writer, square(12, 20), 6)
    assert writer.revert()
    np.testing.assert_array_equal(voxels(segmentation, segment, volume), block(10, 12))


def test_revert_leaves_what_somebody_else_changed_in_between(segmentation, volume, writer):
    write(writer, square(5, 9), 6)
    painted(segmentation, volume, block(), segment=writer.segmentId)
    assert not writer.revert()
    np.testing.assert_array_equal(voxels(segmentation, writer.segmentId, volume), block())


def test_a_segment_drawn_on_a_finer_grid_keeps_its_content(segmentation, volume, add_volume):
    fine = add_volume(np.zeros((24, 60, 52), np.uint8), np.diag([0.5, 0.5, 0.5, 1]), name="fine")
    mask = np.zeros((24, 60, 52), bool)
    mask[8:16, 8:16, 8:16] = True
    segment = painted(segmentation, fine, mask)
    writer = begun(volume, segmentation, segment)
    write(writer, square(12, 20), 10)
    writer.end()
    found = voxels(segmentation, segment, volume)
    np.testing.assert_array_equal(found[10], square(12, 20))
    assert abs(int(found[:10].sum()) - 4**3) <= 61
    assert found[5, 5:7, 5:7].all()


def test_a_segment_resampled_in_the_middle_still_gets_its_slices_on_the_volumes_voxels(segmentation, volume, writer):
    import slicer

    write(writer, square(5, 9), 4)
    finer = slicer.vtkOrientedImageData()
    finer.SetSpacing(0.5, 0.5, 0.5)
    finer.SetOrigin(-0.25, -0.25, -0.25)
    finer.SetExtent(0, 51, 0, 59, 0, 23)
    image, resampled = image_of(segmentation, writer.segmentId), slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(image, finer, resampled)
    segmentation.GetSegmentation().GetSegment(writer.segmentId).AddRepresentation(LABELMAP, resampled)
    write(writer, square(5, 9), 5)
    writer.end()
    expected = np.zeros(SHAPE_KJI, bool)
    expected[4:6] = square(5, 9)
    np.testing.assert_array_equal(voxels(segmentation, writer.segmentId, volume), expected)


def test_a_transform_hardened_in_the_middle_keeps_slices_on_the_volumes_voxels(scene, segmentation, volume):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy([0, -1, 0, 3, 1, 0, 0, 4, 0, 0, 1, 5, 0, 0, 0, 1])
    parent = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Turned")
    parent.SetMatrixTransformToParent(matrix)
    for node in (volume, segmentation):
        node.SetAndObserveTransformNodeID(parent.GetID())
    writer = begun(volume, segmentation, new_segment(segmentation))
    write(writer, square(5, 9), 4)
    segmentation.HardenTransform()
    write(writer, square(5, 9), 5)
    writer.end()
    expected = np.zeros(SHAPE_KJI, bool)
    expected[4:6] = square(5, 9)
    volume.HardenTransform()
    np.testing.assert_array_equal(voxels(segmentation, writer.segmentId, volume), expected)


def test_a_neighbour_on_whose_layer_slicer_puts_the_segment_in_the_middle_is_not_erased(segmentation, volume, writer):
    write(writer, square(5, 9), 4)
    other = painted(segmentation, volume, block(9, 12), "other")
    share_one_layer(segmentation, other, writer.segmentId)
    before = voxels(segmentation, other, volume)
    for index in range(4, 12):
        write(writer, square(5, 9), index)
    writer.end()
    np.testing.assert_array_equal(voxels(segmentation, other, volume), before)


@pytest.mark.parametrize("label", [300, 70000])
def test_a_large_label_value_is_no_smaller_one(segmentation, volume, label):
    from MedSAM2SlicerLib.PackedLabelmap import packSegment, restoreSegment

    segment = new_segment(segmentation)
    segmentation.GetSegmentation().GetSegment(segment).SetLabelValue(label)
    writer = begun(volume, segmentation, segment)
    write(writer, square(5, 9), 4)
    packed = packSegment(segmentation, segment)
    restoreSegment(segmentation, segment, packed)
    assert packSegment(segmentation, segment).isSame(packed)
    np.testing.assert_array_equal(voxels(segmentation, segment, volume)[4], square(5, 9))


def test_content_beyond_the_volume_is_kept(segmentation, volume, add_volume):
    shifted = np.eye(4)
    shifted[:3, 3] = (-20, -20, -6)
    large = add_volume(np.zeros((30, 60, 60), np.uint8), shifted, name="large")
    mask = np.zeros((30, 60, 60), bool)
    mask[0:3, 0:5, 0:5] = True
    segment = painted(segmentation, large, mask)
    writer = begun(volume, segmentation, segment)
    write(writer, square(12, 20), 6)
    writer.end()
    np.testing.assert_array_equal(voxels(segmentation, segment, large)[:3], mask[:3])


def test_an_open_change_does_not_throw_away_closed_surfaces(segmentation, volume):
    segment, other = painted(segmentation, volume, block()), painted(segmentation, volume, block(1, 3), "other")
    segmentation.CreateClosedSurfaceRepresentation()
    writer = begun(volume, segmentation, segment)
    for index in range(12):
        write(writer, square(1, 25), index)
    for one in (segment, other):
        assert segmentation.GetSegmentation().GetSegment(one).GetRepresentation(SURFACE) is not None


def test_the_closed_surface_follows_when_the_change_is_complete(segmentation, volume):
    segment = painted(segmentation, volume, block())
    segmentation.CreateClosedSurfaceRepresentation()
    writer = begun(volume, segmentation, segment)
    for index in range(12):
        write(writer, square(1, 25), index)
    writer.end()
    bounds = segmentation.GetSegmentation().GetSegment(segment).GetRepresentation(SURFACE).GetBounds()
    assert bounds[1] - bounds[0] > 20


def test_views_are_told_of_every_slice(segmentation, writer):
    told = []
    node = segmentation.GetSegmentation()
    node.AddObserver(node.RepresentationModified, lambda *_: told.append(1))
    write(writer, square(5, 9), 6)
    before = len(told)
    write(writer, square(5, 9), 7)
    assert len(told) > before > 0


def test_the_labelmap_is_cropped_in_the_end(segmentation, writer):
    write(writer, square(5, 9), 6)
    write(writer, square(5, 9), 7)
    writer.end()
    assert image_of(segmentation, writer.segmentId).GetExtent() == (5, 8, 5, 8, 6, 7)


def test_an_empty_segmentation_of_surfaces_becomes_one_of_labelmaps(scene, volume):
    from MedSAM2SlicerLib.SegmentWriter import prepareSegmentation

    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Plan")
    node.GetSegmentation().SetSourceRepresentationName(SURFACE)
    prepareSegmentation(node, volume)
    writer = begun(volume, node, new_segment(node))
    write(writer, square(5, 9), 4)
    writer.end()
    np.testing.assert_array_equal(voxels(node, writer.segmentId, volume)[4], square(5, 9))


def test_a_segmentation_of_surfaces_is_refused(segmentation, volume):
    from MedSAM2SlicerLib.SegmentWriter import CannotWrite

    segment = painted(segmentation, volume, block())
    segmentation.CreateClosedSurfaceRepresentation()
    segmentation.GetSegmentation().SetSourceRepresentationName(SURFACE)
    with pytest.raises(CannotWrite, match=r"Result is stored as Closed surface"):
        begun(volume, segmentation, segment)


def test_a_segmentation_under_another_bent_transform_is_refused(scene, segmentation, volume):
    import vtk

    from MedSAM2SlicerLib.SegmentWriter import CannotWrite

    spline = vtk.vtkThinPlateSplineTransform()
    spline.SetBasisToR()
    for landmarks, shift in ((spline.SetSourceLandmarks, 0.0), (spline.SetTargetLandmarks, 3.0)):
        points = vtk.vtkPoints()
        for corner in np.ndindex(2, 2, 2):
            points.InsertNextPoint(*(20.0 * np.array(corner) + shift * np.array(corner[::-1]) ** 2 * corner[0]))
        landmarks(points)
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    node.SetAndObserveTransformToParent(spline)
    volume.SetAndObserveTransformNodeID(node.GetID())
    with pytest.raises(CannotWrite, match="transforms"):
        begun(volume, segmentation, new_segment(segmentation))


def test_an_existing_segmentation_keeps_its_geometry_and_transform(scene, segmentation, volume, add_volume):
    from MedSAM2SlicerLib.SegmentWriter import prepareSegmentation

    painted(segmentation, volume, block())
    other = add_volume(np.zeros((3, 3, 3), np.uint8), name="other")
    other.SetAndObserveTransformNodeID(scene.AddNewNodeByClass("vtkMRMLLinearTransformNode").GetID())
    prepareSegmentation(segmentation, other)
    assert segmentation.GetParentTransformNode() is None
    role = segmentation.GetReferenceImageGeometryReferenceRole()
    assert segmentation.GetNodeReference(role) is volume


def test_a_slice_costs_a_few_milliseconds_in_a_large_volume(scene, add_volume):
    from medsam2_protocol.masks import region_of_slice
    from MedSAM2SlicerLib.SegmentWriter import prepareSegmentation

    volume = add_volume(np.zeros((120, 512, 512), np.int16))
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    prepareSegmentation(segmentation, volume)
    writer = begun(volume, segmentation, new_segment(segmentation))
    plane = np.zeros((512, 512), bool)
    plane[200:300, 180:320] = True
    regions = [region_of_slice(plane, 0, index) for index in range(20, 100)]
    times_s = []
    for index, region in zip(range(20, 100), regions, strict=True):
        start_s = time.thread_time()
        writer.write("K", index, region)
        times_s.append(time.thread_time() - start_s)
    assert np.median(times_s) < 0.01
    assert max(times_s) < 0.05
