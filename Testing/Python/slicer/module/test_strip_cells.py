"""The slice strip without a scene: what it knows of slices, and how they share its pixels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest


@pytest.fixture
def states(app):
    from MedSAM2SlicerLib.SliceStates import SliceStates

    return SliceStates(
        axis="K",
        lattice=1,
        propagated=frozenset(range(40, 60)),
        evidence=dict.fromkeys(range(40, 60), (4.0, 0.9, None)),
        answered={50: 1},
    )


@pytest.fixture
def places():
    """A ball: area and centre of its slices 40 to 59."""
    return {index: (round(300 - (index - 49.5) ** 2 * 2.9), (30.0, 30.0)) for index in range(40, 60)}


def cells_of(states, places, prompted=None, count=100):
    from MedSAM2SlicerLib.StripCells import cellsOf

    return cellsOf(states, prompted if prompted is not None else {50: 1}, places, count)


def test_there_is_a_cell_for_every_slice_and_some_beside(states, places):
    cells = cells_of(states, places)
    assert [cell.index for cell in cells] == list(range(37, 63))
    assert (cells[0].state, cells[0].area, cells[0].confidence) == ("nothing", 0, None)
    assert cells[13].state == "key"
    assert cells[13].confidence == 1.0
    assert cells[12].area == places[49][0]


def test_the_strip_ends_with_the_volume(states, places):
    assert [cell.index for cell in cells_of(states, places, count=61)][-1] == 60


def test_a_slice_that_jumps_is_doubtful_and_a_locked_one_never_is(states, places):
    jumped = {**places, 54: (900, (30.0, 48.0))}
    assert 54 in [cell.index for cell in cells_of(states, jumped) if cell.isDoubtful]
    locked = states.withLocked([54])
    assert 54 not in [cell.index for cell in cells_of(locked, jumped) if cell.isDoubtful]


def test_a_correction_that_waits_is_shown(states, places):
    waits = [cell.index for cell in cells_of(states, places, {50: 1, 55: 3}) if cell.isWaiting]
    assert waits == [55]


def test_areas_and_centres_are_those_of_the_voxels(app):
    from types import SimpleNamespace

    from MedSAM2SlicerLib.StripCells import placesOf

    voxels = np.zeros((3, 4, 5), bool)
    voxels[1, 2, 3] = voxels[1, 2, 4] = voxels[2, 0, 0] = True
    masks = SimpleNamespace(start=(10, 20, 30), voxels=voxels)
    assert placesOf(masks, "K") == {11: (2, (22.0, 33.5)), 12: (1, (20.0, 30.0))}
    assert placesOf(masks, "I") == {30: (1, (12.0, 20.0)), 33: (1, (11.0, 22.0)), 34: (1, (11.0, 22.0))}


@pytest.mark.parametrize("count", [1, 17, 390, 400, 1000])
def test_every_slice_has_pixels_and_every_pixel_a_slice(app, count):
    from MedSAM2SlicerLib.StripCells import StripCell
    from MedSAM2SlicerLib.StripPicture import columnsOf

    cells = [StripCell(index, "propagated", 5, 0.9, isDoubtful=index == count // 2) for index in range(count)]
    columns = columnsOf(cells, 400)
    assert (columns[0].left, columns[-1].right) == (0, 400)
    assert all(one.right == other.left for one, other in pairwise(columns))
    assert sum(column.cell.isDoubtful for column in columns) == 1


def test_the_slice_under_a_pixel_is_found_and_a_doubtful_one_first(app):
    from MedSAM2SlicerLib.StripCells import StripCell
    from MedSAM2SlicerLib.StripPicture import cellAt

    cells = [StripCell(index, "propagated", 5, 0.9, isDoubtful=index == 501) for index in range(1000)]
    assert cellAt(cells, 200, 400).index == 501
    assert cellAt(cells, 0, 400).index == 0
    assert cellAt(cells, 399, 400).index == 997
    assert cellAt(cells, 400, 400) is None
    assert cellAt([], 3, 400) is None


def test_states_differ_without_their_colours(app):
    from MedSAM2SlicerLib.SliceStates import EDITED, KEY, LOCKED, PROPAGATED
    from MedSAM2SlicerLib.StripPicture import HEIGHTS, LETTERS

    states = (PROPAGATED, KEY, EDITED, LOCKED)
    assert len({LETTERS[state] for state in states}) == len({HEIGHTS[state] for state in states}) == 4


def test_the_line_of_the_shown_slice_leaves_its_letter_free(app):
    import qt

    from MedSAM2SlicerLib.SliceStates import KEY
    from MedSAM2SlicerLib.StripCells import StripCell
    from MedSAM2SlicerLib.StripPicture import AREA_TOP, HEIGHT, STATE_HEIGHT, STATE_TOP, paint

    def rows(shown, width, first, last):
        image = paint([StripCell(7, KEY, 40, 0.9)], shown, width, 1.0, qt.QPalette()).toImage()
        return [[image.pixel(x, y) for x in range(width)] for y in range(first, last)]

    letter = STATE_TOP, STATE_TOP + STATE_HEIGHT
    assert rows(7, 20, *letter) == rows(None, 20, *letter)
    assert rows(7, 20, AREA_TOP, STATE_TOP) != rows(None, 20, AREA_TOP, STATE_TOP)
    assert rows(7, 20, letter[1], HEIGHT) != rows(None, 20, letter[1], HEIGHT)
    assert rows(7, 5, *letter) != rows(None, 5, *letter)  # too narrow for a letter
