"""Connected parts, holes, islands and smoothing of masks, against a slow and simple way and against geometry."""

import itertools

import numpy as np
import pytest


def flooded(mask, steps):
    """Parts found one voxel at a time: a set of frozen sets of positions."""
    left, found = set(map(tuple, np.argwhere(mask))), set()
    while left:
        part, edge = set(), {left.pop()}
        while edge:
            part |= edge
            left -= edge
            edge = {tuple(np.add(one, step)) for one in edge for step in steps} & left
        found.add(frozenset(part))
    return found


ALL = [step for step in itertools.product((-1, 0, 1), repeat=3) if step != (0, 0, 0)]
FACE = [step for step in ALL if np.abs(step).sum() == 1]
PLANE = [step for step in FACE if step[0] == 0]


@pytest.mark.parametrize(("neighbours", "steps"), [("CORNERS", ALL), ("FACES", FACE), ("IN_PLANE", PLANE)])
@pytest.mark.parametrize("density", [0.05, 0.2, 0.5, 0.9])
def test_parts_are_those_of_a_flood(neighbours, steps, density):
    from MedSAM2SlicerLib import ConnectedParts

    random = np.random.default_rng(int(100 * density))
    for shape in ((6, 7, 8), (1, 9, 9), (9, 1, 5), (4, 5, 1)):
        mask = random.random(shape) < density
        parts = ConnectedParts.partsOf(mask, getattr(ConnectedParts, neighbours))
        masks = [parts.mask(np.arange(len(parts.sizes)) == part) for part in range(len(parts.sizes))]
        assert {frozenset(map(tuple, np.argwhere(one))) for one in masks} == flooded(mask, steps)
        assert list(parts.sizes) == [np.count_nonzero(one) for one in masks]


def test_the_part_under_a_voxel_is_found_and_outside_there_is_none():
    from MedSAM2SlicerLib.ConnectedParts import partsOf

    mask = np.zeros((5, 6, 7), bool)
    mask[1, 1, 1:3] = mask[3, 4, 4:6] = True
    parts = partsOf(mask)
    assert list(parts.at(np.array([[1, 1, 2]]))) == [0]
    assert list(parts.at(np.array([[3, 4, 4], [1, 1, 1], [2, 2, 2], [-1, 0, 0], [9, 9, 9], [1, 1, 3]]))) == [0, 1]
    assert list(parts.at(np.array([[0, 0, 0]]))) == []


def test_nothing_has_no_parts():
    from MedSAM2SlicerLib.ConnectedParts import partsOf

    assert len(partsOf(np.zeros((3, 3, 3), bool)).sizes) == 0


@pytest.fixture
def ring():
    """Along K an open tube; a closed ring in every K slice."""
    mask = np.zeros((6, 12, 14), bool)
    mask[1:5, 2:10, 3:12] = True
    mask[1:5, 4:8, 5:10] = False
    return mask


def test_a_hole_is_filled_in_the_slices_that_enclose_it_and_in_no_others(ring):
    from MedSAM2SlicerLib.PostProcess import fillHoles

    solid = ring.copy()
    solid[1:5, 4:8, 5:10] = True
    np.testing.assert_array_equal(fillHoles(ring, "K"), solid)
    np.testing.assert_array_equal(fillHoles(ring, "J"), ring)
    np.testing.assert_array_equal(fillHoles(solid, "K"), solid)


def test_a_hole_at_the_border_of_the_box_is_filled_as_well(ring):
    from MedSAM2SlicerLib.PostProcess import fillHoles

    tight = ring[1:5, 2:10, 3:12]
    assert fillHoles(tight, "K").all()


def test_a_bay_is_no_hole(ring):
    from MedSAM2SlicerLib.PostProcess import fillHoles

    ring[:, 2:6, 7] = False
    np.testing.assert_array_equal(fillHoles(ring, "K"), ring)


@pytest.fixture
def islands():
    """Three boxes: 60, 8 and 1 voxels; the last touches nothing, the second one corner of the first."""
    mask = np.zeros((10, 20, 20), bool)
    mask[2:5, 2:6, 2:7] = True
    mask[7:9, 12:14, 12:14] = True
    mask[0, 19, 19] = True
    return mask


def test_parts_without_a_prompt_go(islands):
    from MedSAM2SlicerLib.PostProcess import keepTouched

    kept = keepTouched(islands, [(7, 12, 13), (0, 0, 0)])
    assert np.count_nonzero(kept) == 8
    assert not keepTouched(islands, [(9, 0, 0)]).any()
    assert not keepTouched(islands, np.zeros((0, 3))).any()


def test_islands_smaller_than_the_limit_go(islands):
    from MedSAM2SlicerLib.PostProcess import removeIslands

    assert np.count_nonzero(removeIslands(islands, 2)) == 68
    assert np.count_nonzero(removeIslands(islands, 8)) == 68
    assert np.count_nonzero(removeIslands(islands, 8.5)) == 60
    assert not removeIslands(islands, 61).any()


def test_parts_that_touch_at_a_corner_are_one():
    from MedSAM2SlicerLib.PostProcess import removeIslands

    mask = np.zeros((4, 4, 4), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[2, 2, 2] = True
    assert removeIslands(mask, 3).sum() == 3


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.5, 0.7, 0.7)])
def test_smoothing_keeps_the_volume_and_takes_off_what_sticks_out(spacing):
    from MedSAM2SlicerLib.PostProcess import padded, smooth, smoothingMargin

    k, j, i = (np.arange(60) - 30).reshape(-1, 1, 1), (np.arange(60) - 30).reshape(-1, 1), np.arange(60) - 30
    ball = (spacing[0] * k) ** 2 + (spacing[1] * j) ** 2 + (spacing[2] * i) ** 2 <= 12**2
    spike = ball.copy()
    spike[30, 30, 30:55] = True
    result = smooth(padded(spike, smoothingMargin(spacing, 1.5)), spacing, 1.5)
    inner = result[tuple(slice(margin, margin + 60) for margin in smoothingMargin(spacing, 1.5))]
    assert result.sum() == pytest.approx(spike.sum(), rel=0.005)
    assert not inner[30, 30, 52:].any()
    assert np.count_nonzero(inner ^ ball) < 0.05 * np.count_nonzero(ball)


def test_smoothing_nothing_gives_nothing():
    from MedSAM2SlicerLib.PostProcess import smooth

    assert not smooth(np.zeros((4, 4, 4), bool), (1, 1, 1), 2.0).any()


@pytest.mark.parametrize(("axis", "along"), [("K", 0), ("J", 1), ("I", 2)])
def test_kept_slices_are_as_they_were(islands, axis, along):
    from MedSAM2SlicerLib.PostProcess import withSlicesOf

    changed = ~islands
    result = withSlicesOf(islands, changed, axis, [2, 7, 99, -1])
    for index in range(islands.shape[along]):
        expected = islands if index in (2, 7) else changed
        np.testing.assert_array_equal(np.take(result, index, along), np.take(expected, index, along))
