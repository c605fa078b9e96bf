"""The module's self test says what it has tested, and is never passed for what it has not."""

import sys
import unittest

import numpy as np
import pytest

PANEL, SEGMENT = "test_the_panel_works_without_an_engine", "test_a_box_becomes_a_segment"
MISSING = "The engine is not installed."


@pytest.fixture
def without_engine(module, monkeypatch):
    from MedSAM2SlicerLib.Environment import EngineNotInstalled

    def command():
        raise EngineNotInstalled(MISSING)

    monkeypatch.setattr(module.engine.environment, "command", command)
    return module


@pytest.fixture
def said(monkeypatch):
    """What the self test tells the person who started it."""
    texts = []
    monkeypatch.setattr(self_tests(), "delayDisplay", lambda _test, text, *_rest: texts.append(text))
    return texts


def self_tests():
    return sys.modules["MedSAM2Slicer"].MedSAM2SlicerTest


def run():
    """As Slicer's unit tests are run; the outcomes by name."""
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(self_tests())
    assert sorted(case._testMethodName for case in suite) == sorted([PANEL, SEGMENT])
    return suite.run(unittest.TestResult())


def test_without_an_engine_the_panel_is_tested_and_the_rest_is_skipped(without_engine):
    result = run()
    assert (result.failures, result.errors, result.testsRun) == ([], [], 2)
    [(skipped, reason)] = result.skipped
    assert skipped._testMethodName == SEGMENT
    assert reason.endswith(MISSING)


def test_from_slicers_own_menus_it_is_said_what_was_not_run(without_engine, said):
    import slicer

    slicer.selfTests["MedSAM2Slicer"]()
    assert said[0].startswith("The panel opened")
    assert said[1] == f"Not run: segmenting, correcting, saving and loading were not tested: {MISSING}"
    assert len(said) == 2


def test_with_an_engine_both_parts_pass(module):
    result = run()
    assert (result.failures, result.errors, result.skipped, result.testsRun) == ([], [], [], 2)


def refused():
    from MedSAM2SlicerLib.History import CannotUndo

    raise CannotUndo("There is nothing to undo.")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("key", "these have no key: ['box']"),
        ("list", "the box is not listed"),
        ("undo", "the box was not undone"),
        ("voxels", "the voxels of the volume were changed"),
        ("display", "the display of the volume was changed"),
        ("silence", "it was not said what is missing"),
    ],
)
def test_it_fails_where_the_panel_does_not_do_what_it_shall(without_engine, monkeypatch, spoil, words):
    import slicer

    module, controller = without_engine, without_engine.controller
    if spoil == "key":
        monkeypatch.setattr(module.widget.shortcuts, "_shortcuts", module.widget.shortcuts._shortcuts[1:])
    elif spoil == "list":
        monkeypatch.setattr(module.widget.panel._prompts, "update", lambda: None)
    elif spoil == "undo":
        monkeypatch.setattr(controller.history, "undo", refused)
    elif spoil == "silence":
        monkeypatch.setattr(controller.news, "sayEnd", lambda *_arguments: None)
    else:
        placed = controller.onPlaced

        def on_placed(prompt):
            volume = module.parameters.volume
            if spoil == "voxels":
                slicer.util.arrayFromVolume(volume)[0, 0, 0] += 1
            else:
                volume.GetDisplayNode().SetAutoWindowLevel(False)
                volume.GetDisplayNode().SetWindowLevel(1, 2)
            placed(prompt)

        monkeypatch.setattr(controller._toolbox, "_onPlaced", on_placed)
    result = run()
    assert words in "".join(text for _case, text in (*result.failures, *result.errors)), (
        result.failures,
        result.errors,
    )


def test_the_ball_of_the_self_test_can_be_found(app):
    from MedSAM2SlicerLib.PanelSelfTest import CENTRE, RADIUS, ball

    voxels = ball()
    assert int(np.count_nonzero(voxels >= 200)) == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.05)
    assert voxels[CENTRE, CENTRE, CENTRE] >= 200
