"""Volume, RECIST diameters and extent against what geometry says, on isotropic, anisotropic and oblique lattices."""

import math

import numpy as np
import pytest

ISOTROPIC = np.diag([1.0, 1.0, 1.0, 1.0])
CT = np.diag([-0.7, -0.7, 2.5, 1.0])
SHAPE_KJI = (60, 100, 110)


def rotation(axis, degrees):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = np.eye(4)
    first, second = [(1, 2), (0, 2), (0, 1)][axis]
    matrix[first, first] = matrix[second, second] = c
    matrix[first, second], matrix[second, first] = -s, s
    return matrix


OBLIQUE = rotation(0, 20) @ rotation(2, 30) @ np.diag([0.8, 0.8, 1.5, 1.0])
OBLIQUE[:3, 3] = [100, -50, 30]
SAGITTAL = np.array([[0, 0, 3.0, 5], [0.9, 0, 0, 6], [0, -0.9, 0, 7], [0, 0, 0, 1]])
LATTICES = {"isotropic": ISOTROPIC, "ct": CT, "oblique": OBLIQUE, "sagittal": SAGITTAL}


@pytest.fixture(params=LATTICES)
def lattice(request):
    return LATTICES[request.param]


@pytest.fixture
def measure():
    from MedSAM2SlicerLib.Measures import measure

    return lambda mask, lattice, start=(0, 0, 0): measure(mask, start, lattice)


def positions(lattice, shape_kji=SHAPE_KJI):
    """World (K, J, I, 3) of all voxels, and of the middle one."""
    k, j, i = np.indices(shape_kji)
    ijk = np.stack([i, j, k], axis=-1)
    world = ijk @ lattice[:3, :3].T + lattice[:3, 3]
    middle = np.array(shape_kji[::-1]) / 2 - 0.3
    return world, lattice[:3, :3] @ middle + lattice[:3, 3]


def pixel(lattice):
    """The larger spacing in the plane that is measured."""
    from MedSAM2SlicerLib.Measures import axialAxis

    lengths = np.linalg.norm(lattice[:3, :3], axis=0)
    return max(length for axis, length in enumerate(lengths) if axis != axialAxis(lattice[:3, :3]))


def ball(lattice, radius_mm):
    world, centre = positions(lattice)
    return ((world - centre) ** 2).sum(axis=-1) <= radius_mm**2


@pytest.mark.parametrize("radius_mm", [12.0, 15.4, 22.0])
def test_a_ball_has_its_volume_and_its_diameter_in_every_direction(measure, lattice, radius_mm):
    found = measure(ball(lattice, radius_mm), lattice)
    assert found.volume_ml == pytest.approx(4 / 3 * math.pi * radius_mm**3 / 1000, rel=0.01)
    assert found.longAxis.length_mm == pytest.approx(2 * radius_mm, abs=pixel(lattice))
    assert found.shortAxis.length_mm == pytest.approx(2 * radius_mm, abs=pixel(lattice))
    slices_mm = np.linalg.norm(lattice[:3, :3], axis=0).max()
    assert found.extent_mm == pytest.approx([2 * radius_mm] * 3, abs=1.2 * slices_mm)


def test_an_ellipsoid_turned_in_the_axial_plane_has_its_two_axes(measure):
    for lattice in (ISOTROPIC, CT):
        world, centre = positions(lattice)
        local = (world - centre) @ rotation(2, 25)[:3, :3]
        mask = ((local / [24.0, 13.0, 18.0]) ** 2).sum(axis=-1) <= 1
        found = measure(mask, lattice)
        assert found.volume_ml == pytest.approx(4 / 3 * math.pi * 24 * 13 * 18 / 1000, rel=0.01)
        assert found.longAxis.length_mm == pytest.approx(48, abs=pixel(lattice))
        assert found.shortAxis.length_mm == pytest.approx(26, abs=pixel(lattice))
        direction = np.subtract(found.longAxis.end_world, found.longAxis.start_world)
        angle = math.degrees(math.atan2(direction[1], direction[0])) % 180
        assert angle == pytest.approx(25, abs=3)


@pytest.mark.parametrize("degrees", [0, 17, 40, 63])
def test_a_turned_box_has_its_diagonal_and_the_chord_across_it(measure, lattice, degrees):
    """The chord across the diagonal of a rectangle a x b (a >= b) is b / cos of the diagonal's angle."""
    a, b, height = 40.0, 24.0, 20.0
    world, centre = positions(lattice)
    steps = lattice[:3, :3] / np.linalg.norm(lattice[:3, :3], axis=0)
    from MedSAM2SlicerLib.Measures import axialAxis

    axis = axialAxis(lattice[:3, :3])
    across = [other for other in range(3) if other != axis]
    local = (world - centre) @ steps[:, [*across, axis]]
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = c * local[..., 0] + s * local[..., 1], -s * local[..., 0] + c * local[..., 1]
    mask = (np.abs(x) <= a / 2) & (np.abs(y) <= b / 2) & (np.abs(local[..., 2]) <= height / 2)
    found = measure(mask, lattice)
    assert found.longAxis.length_mm == pytest.approx(math.hypot(a, b), abs=pixel(lattice))
    assert found.shortAxis.length_mm == pytest.approx(b / math.cos(math.atan2(b, a)), abs=pixel(lattice))


@pytest.mark.parametrize("kind", ["disc", "ellipse", "box"])
def test_diameters_are_within_a_pixel_wherever_the_object_lies_on_the_grid(measure, kind):
    """A hundred placements each, anywhere and turned anyhow; a turned box has the sharpest ends.

    Across a box the chord depends on the direction of the diameter, so the one that was found is asked. It meets the
    box's edges at a slant: there a pixel counts across the edges.
    """
    random = np.random.default_rng(7)
    rows, columns = np.mgrid[:90, :90]
    for _placement in range(100):
        x, y = columns - 44 - random.random(), rows - 44 - random.random()
        angle, a = math.pi * random.random(), 8 + 20 * random.random()
        b = a if kind == "disc" else a * (0.4 + 0.5 * random.random())
        u, v = math.cos(angle) * x + math.sin(angle) * y, -math.sin(angle) * x + math.cos(angle) * y
        mask = (abs(u) <= a) & (abs(v) <= b) if kind == "box" else (u / a) ** 2 + (v / b) ** 2 <= 1
        found = measure(mask[np.newaxis], ISOTROPIC)
        long, short, slant = 2 * a, 2 * b, 1.0
        if kind == "box":
            towards = np.subtract(found.longAxis.end_world, found.longAxis.start_world)
            turned = math.atan2(towards[1], towards[0]) - angle
            slant = 1 / max(abs(math.cos(turned)), b / a * abs(math.sin(turned)))
            long, short = 2 * math.hypot(a, b), 2 * b * slant
        assert found.longAxis.length_mm == pytest.approx(long, abs=1)
        assert found.shortAxis.length_mm == pytest.approx(short, abs=slant)


def test_the_two_diameters_are_perpendicular_and_in_the_slice_that_is_named(measure, lattice):
    world, centre = positions(lattice)
    local = (world - centre) @ rotation(0, 35)[:3, :3] @ rotation(2, 25)[:3, :3]
    mask = ((local / [22.0, 12.0, 15.0]) ** 2).sum(axis=-1) <= 1
    found = measure(mask, lattice)
    ends = np.array([*vars(found.longAxis).values(), *vars(found.shortAxis).values()])
    ijk = (ends - lattice[:3, 3]) @ np.linalg.inv(lattice[:3, :3]).T
    np.testing.assert_allclose(ijk[:, "IJK".index(found.axis)], found.slice, atol=1e-6)
    long, short = ends[1] - ends[0], ends[3] - ends[2]
    assert abs(long @ short) < 1e-6 * np.linalg.norm(long) * np.linalg.norm(short)


@pytest.mark.parametrize(("name", "axis"), [("isotropic", "K"), ("ct", "K"), ("oblique", "K"), ("sagittal", "J")])
def test_the_slices_nearest_to_axial_are_measured(measure, name, axis):
    assert measure(ball(LATTICES[name], 10.0), LATTICES[name]).axis == axis


def test_the_largest_slice_is_found(measure):
    mask = np.zeros(SHAPE_KJI, bool)
    mask[20:30, 40:50, 40:50] = True
    mask[24, 40:50, 35:60] = True
    found = measure(mask, ISOTROPIC, (7, 8, 9))
    assert (found.axis, found.slice) == ("K", 33)
    assert found.longAxis.length_mm == pytest.approx(math.hypot(25, 10), abs=1)


def test_the_extent_names_the_patients_directions(measure):
    mask = np.zeros(SHAPE_KJI, bool)
    mask[10:14, 20:50, 30:40] = True
    assert measure(mask, CT).extent_mm == pytest.approx((7.0, 21.0, 10.0))
    # I is towards anterior, J towards inferior, K towards right.
    assert measure(mask, SAGITTAL).extent_mm == pytest.approx((12.0, 9.0, 27.0))


def test_a_concave_lesion_is_measured_from_outermost_end_to_outermost_end(measure):
    mask = np.zeros(SHAPE_KJI, bool)
    mask[5, 20:60, 20:80] = True
    mask[5, 20:50, 40:60] = False  # a U
    found = measure(mask, ISOTROPIC)
    assert found.longAxis.length_mm == pytest.approx(math.hypot(60, 40), abs=1)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 7), (1, 7, 1), (7, 1, 1), (2, 2, 1)])
def test_the_smallest_lesions_are_measured(measure, shape):
    mask = np.zeros((9, 9, 9), bool)
    mask[tuple(slice(1, 1 + size) for size in shape)] = True
    found = measure(mask, ISOTROPIC)
    assert found.volume_ml == pytest.approx(math.prod(shape) / 1000)
    assert found.longAxis.length_mm == pytest.approx(max(shape[1:]), abs=1)
    assert 0 < found.shortAxis.length_mm <= found.longAxis.length_mm + 1e-9


def test_nothing_has_no_measures(measure):
    assert measure(np.zeros((4, 5, 6), bool), ISOTROPIC) is None
    assert measure(np.zeros((0, 0, 0), bool), ISOTROPIC) is None
