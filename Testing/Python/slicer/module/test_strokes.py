"""Scribbles and lassos: drawn by hand in any view, kept in the scene, moved, deleted, undone, saved, and refused."""

import math

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


def around(radius, axis="K", centre=(22, 20, 10), count=24):
    """IJK positions on a circle round the ball's centre, in a slice of an axis."""
    a, b = (n for n in range(3) if n != "IJK".index(axis))
    path = []
    for n in range(count):
        position = list(centre)
        position[a] += radius * math.cos(2 * math.pi * n / count)
        position[b] += radius * math.sin(2 * math.pi * n / count)
        path.append(position)
    return path


def lasso(module, mouse, wait_until, path=None, view="Red"):
    mouse.key("L")
    mouse.draw(view, module.volume, path or around(7))
    wait_until(idle(module))


def scribble(module, mouse, wait_until, path=((18, 20, 10), (22, 21, 10), (26, 20, 10)), modifier="NoModifier"):
    if module.controller.armedTool != "scribble":
        mouse.key("S")
    mouse.draw("Red", module.volume, path, modifier)
    wait_until(idle(module))


def zoom_out():
    """So that there is something beside the volume to draw on."""
    import slicer

    node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    width, height, depth = node.GetFieldOfView()
    node.SetFieldOfView(3 * width, 3 * height, depth)
    slicer.app.processEvents()


def curves():
    import slicer

    return slicer.util.getNodesByClass("vtkMRMLMarkupsCurveNode")


def rows(module):
    return [module.ui.promptList.item(row).text() for row in range(module.ui.promptList.count)]


def sent(module):
    return module.asked[-1].segment.prompts


# ---- drawn


def test_a_scribble_begun_with_a_double_click_is_drawn_all_the_same(shown, mouse, wait_until):
    scribble(shown, mouse, wait_until)
    mouse.press_again("Red", shown.volume, (26, 20, 10))
    mouse.move("Red", shown.volume, (24, 18, 10))
    mouse.move("Red", shown.volume, (20, 18, 10))
    mouse.release("Red", shown.volume, (20, 18, 10))
    wait_until(idle(shown))
    assert len(shown.controller.promptNodes()) == 2, shown.controller.message


def test_a_lasso_round_the_object_is_previewed_and_propagates(shown, mouse, wait_until, screenshots):
    import slicer

    lasso(shown, mouse, wait_until)
    assert shown.controller.hasPreview, shown.controller.message
    slicer.util.mainWindow().grab().save(str(screenshots / "lasso.png"))
    (prompt,) = sent(shown)
    assert (type(prompt).__name__, prompt.axis, prompt.slice) == ("LassoPrompt", "K", 10)
    assert not shown.mask(shown.volume)[10, 20, 22 + 8]
    assert shown.mask(shown.volume)[10, 20, 22 + 6]
    mouse.key("Space")
    wait_until(idle(shown))
    assert np.flatnonzero(shown.mask(shown.volume).any(axis=(1, 2))).tolist() == list(range(7, 14))


@pytest.mark.parametrize(("view", "axis"), [("Red", "K"), ("Green", "J"), ("Yellow", "I")])
def test_a_lasso_in_any_view_encloses_what_it_was_drawn_round(shown, mouse, wait_until, view, axis):
    import slicer

    from medsam2_protocol.prompts import axis_kji
    from medsam2_protocol.strokes import lasso_interior

    slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, 10.0, False)
    lasso(shown, mouse, wait_until, around(5, axis), view)
    (prompt,) = sent(shown)
    index = (22, 20, 10)["IJK".index(axis)]
    assert (prompt.axis, prompt.slice, shown.asked[-1].slice) == (axis, index, index)
    shape = np.delete(shown.volume.GetImageData().GetDimensions()[::-1], axis_kji(axis))
    inside = lasso_interior(prompt.path, shape)
    rows_inside, columns_inside = np.nonzero(inside)
    centre = [value for letter, value in zip("IJK", (22, 20, 10), strict=True) if letter != axis]
    np.testing.assert_allclose([columns_inside.mean(), rows_inside.mean()], centre, atol=0.3)
    assert inside.sum() == pytest.approx(math.pi * 25, rel=0.12)


def test_a_scribble_is_one_prompt_and_the_tool_stays_in_the_hand(shown, mouse, wait_until):
    scribble(shown, mouse, wait_until)
    (prompt,) = sent(shown)
    assert (type(prompt).__name__, prompt.positive, prompt.slice) == ("ScribblePrompt", True, 10)
    np.testing.assert_allclose(prompt.path, [(18, 20), (22, 21), (26, 20)], atol=0.2)
    assert shown.ui.scribbleButton.checked
    mouse.right_click("Red")
    assert not shown.ui.scribbleButton.checked


def test_a_scribble_with_shift_is_not_the_object(shown, mouse, wait_until):
    scribble(shown, mouse, wait_until)
    scribble(shown, mouse, wait_until, ((20, 26, 10), (22, 26, 10), (24, 26, 10)), "ShiftModifier")
    assert [prompt.positive for prompt in sent(shown)] == [True, False]
    assert not shown.mask(shown.volume)[10, 26, 22]
    assert shown.mask(shown.volume)[10, 15, 22]
    assert rows(shown) == ["Scribble +, slice K10", "Scribble -, slice K10"]
    colours = [curve.GetDisplayNode().GetSelectedColor() for curve in curves()]
    assert colours[0][1] > colours[0][0]
    assert colours[1][0] > colours[1][1]


def test_a_negative_scribble_alone_asks_for_the_object(shown, mouse, wait_until):
    scribble(shown, mouse, wait_until, modifier="ShiftModifier")
    assert "Click into the object first" in shown.ui.messageLabel.text
    assert rows(shown) == ["Scribble -, slice K10"]


def test_a_lasso_takes_the_place_of_the_box_on_its_slice(shown, mouse, wait_until):
    mouse.key("B")
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(idle(shown))
    lasso(shown, mouse, wait_until)
    assert rows(shown) == ["Lasso, slice K10"]
    mouse.key("Ctrl+Z")
    wait_until(idle(shown))
    assert rows(shown) == ["Box, slice K10"]


def test_the_line_follows_the_mouse_and_is_gone_when_the_tool_is_put_away(shown, mouse, wait_until):
    import slicer

    window = slicer.app.layoutManager().sliceWidget("Red").sliceView().renderWindow()
    props = window.GetRenderers().GetFirstRenderer().GetViewProps()
    before = props.GetNumberOfItems()
    mouse.key("L")
    mouse.press("Red", shown.volume, (15, 20, 10))
    mouse.move("Red", shown.volume, (22, 28, 10))
    assert props.GetNumberOfItems() == before + 1
    mouse.key("Esc")
    assert props.GetNumberOfItems() == before
    mouse.release("Red", shown.volume, (28, 20, 10))
    assert curves() == []
    assert rows(shown) == []


def test_a_long_stroke_is_kept_with_few_vertices(shown, mouse, wait_until):
    lasso(shown, mouse, wait_until, around(7, count=200))
    (prompt,) = sent(shown)
    assert 8 <= len(prompt.path) <= 40
    assert curves()[0].GetNumberOfControlPoints() == len(prompt.path)


def test_prompts_of_every_kind_on_several_slices_are_solved_together(shown, mouse, wait_until):
    import slicer

    lasso(shown, mouse, wait_until)
    for offset, action in ((8, "B"), (12, "P"), (13, "S")):
        slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, float(offset), False)
        mouse.key(action)
        if action == "B":
            mouse.drag("Red", shown.volume, (10, 8, offset), (34, 32, offset))
        elif action == "P":
            mouse.click("Red", shown.volume, (22, 20, offset))
        else:
            mouse.draw("Red", shown.volume, ((18, 20, offset), (26, 20, offset)))
        wait_until(idle(shown))
    mouse.key("Space")
    wait_until(idle(shown))
    (asked,) = [message for message in shown.asked if type(message).__name__ == "Propagate"]
    kinds = [type(prompt).__name__ for prompt in asked.segments[0].prompts]
    assert sorted(kinds) == ["BoxPrompt", "LassoPrompt", "PointPrompt", "ScribblePrompt"]
    assert np.flatnonzero(shown.mask(shown.volume).any(axis=(1, 2))).tolist() == list(range(6, 15))


# ---- moved, deleted, undone, saved


def test_a_vertex_that_is_pulled_gives_a_new_preview(shown, mouse, wait_until):
    lasso(shown, mouse, wait_until)
    before = sent(shown)[0]
    curves()[0].SetNthControlPointPositionWorld(0, 33.0, 20.0, 10.0)
    wait_until(lambda: shown.controller.isBusy)
    wait_until(idle(shown))
    after = sent(shown)[0]
    assert after.path[0] == (33, 20)
    assert after.path[1:] == before.path[1:]
    mouse.key("Ctrl+Z")
    wait_until(idle(shown))
    assert sent(shown)[0] == before


@pytest.mark.parametrize("draw", [lasso, scribble])
def test_undo_and_redo_of_a_stroke_are_exact(shown, mouse, wait_until, draw):
    draw(shown, mouse, wait_until)
    drawn, mask = sent(shown), shown.mask(shown.volume)
    mouse.key("Ctrl+Z")
    wait_until(idle(shown))
    assert rows(shown) == []
    assert curves() == []
    assert not shown.mask(shown.volume).any()
    mouse.key("Ctrl+Y")
    wait_until(idle(shown))
    assert sent(shown) == drawn
    np.testing.assert_array_equal(shown.mask(shown.volume), mask)


@pytest.mark.parametrize("draw", [lasso, scribble])
def test_the_delete_key_removes_a_stroke(shown, mouse, wait_until, draw):
    draw(shown, mouse, wait_until)
    mouse.key("Del")
    wait_until(idle(shown))
    assert curves() == []
    assert not shown.mask(shown.volume).any()


@pytest.mark.parametrize("draw", [lasso, scribble])
def test_a_stroke_whose_vertices_are_deleted_in_a_view_is_gone(shown, mouse, wait_until, draw):
    draw(shown, mouse, wait_until)
    curves()[0].RemoveAllControlPoints()
    wait_until(lambda: curves() == [])
    assert not shown.controller.hasPreview
    mouse.key("Ctrl+Z")
    wait_until(idle(shown))
    assert len(rows(shown)) == 1


def test_strokes_are_saved_with_the_scene_and_propagate_after_it_was_loaded(shown, mouse, wait_until, tmp_path, app):
    import slicer

    lasso(shown, mouse, wait_until)
    scribble(shown, mouse, wait_until)
    scribble(shown, mouse, wait_until, ((20, 26, 10), (24, 26, 10)), "ShiftModifier")
    before = sent(shown)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    app.processEvents()
    shown.widget.enter()
    assert rows(shown) == ["Lasso, slice K10", "Scribble +, slice K10", "Scribble -, slice K10"]
    shown.controller.propagate()
    wait_until(idle(shown))
    assert shown.asked[-1].segments[0].prompts == before


# ---- what makes no sense


def test_a_lasso_of_two_pixels_is_refused(shown, mouse, wait_until):
    lasso(shown, mouse, wait_until, [(22, 20, 10), (22.1, 20, 10)])
    assert "too small for a lasso" in shown.ui.messageLabel.text
    assert curves() == []
    assert shown.ui.lassoButton.checked


def test_a_scribble_of_two_pixels_is_refused(shown, mouse, wait_until):
    scribble(shown, mouse, wait_until, [(22, 20, 10), (22.1, 20, 10)])
    assert "too short for a scribble" in shown.ui.messageLabel.text
    assert curves() == []


def test_a_lasso_that_goes_there_and_back_encloses_nothing(shown, mouse, wait_until):
    lasso(shown, mouse, wait_until, [(18, 20, 10), (26, 20, 10), (22, 20, 10)])
    assert "encloses no voxel" in shown.ui.messageLabel.text
    assert curves() == []


def test_a_lasso_that_crosses_itself_means_both_of_its_loops(shown, mouse, wait_until):
    lasso(shown, mouse, wait_until, [(16, 16, 10), (28, 24, 10), (28, 16, 10), (16, 24, 10)])
    found = shown.mask(shown.volume)[10]
    assert found[20, 18]
    assert found[20, 26]
    assert not found[17, 22]


def test_a_lasso_outside_the_volume_is_refused(shown, mouse, wait_until):
    zoom_out()
    lasso(shown, mouse, wait_until, around(8, centre=(56, 20, 10)))
    assert "outside" in shown.ui.messageLabel.text
    assert curves() == []


def test_a_scribble_that_leaves_the_volume_is_kept_as_far_as_it_lies_in_it(shown, mouse, wait_until):
    zoom_out()
    path = [(20 + 0.5 * n, 20, 10) for n in range(70)]
    scribble(shown, mouse, wait_until, path)
    (prompt,) = sent(shown)
    assert max(x for x, _y in prompt.path) <= 43.5
    assert "outside the volume was left out" in shown.ui.messageLabel.text
    assert shown.controller.hasPreview


@pytest.mark.parametrize("tool", ["S", "L"])
def test_a_stroke_into_another_view_stays_on_its_slice(shown, mouse, wait_until, tool):
    import qt
    import slicer
    from PySide6.QtCore import QPoint
    from PySide6.QtTest import QTest

    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    mouse.key(tool)
    for position in around(6)[:12]:
        mouse.press("Red", shown.volume, position) if position == around(6)[0] else mouse.move(
            "Red", shown.volume, position
        )
    for x in range(0, 200, 20):
        QTest.mouseMove(view, QPoint(view.width + x, view.height + x))
        slicer.app.processEvents()
    QTest.mouseRelease(view, qt.Qt.LeftButton, qt.Qt.NoModifier, QPoint(view.width + 200, view.height + 200))
    slicer.app.processEvents()
    wait_until(idle(shown))
    (prompt,) = sent(shown)
    assert (prompt.axis, prompt.slice) == ("K", 10)
    assert max(x for x, _y in prompt.path) <= 28.5
    assert "outside the view was left out" in shown.ui.messageLabel.text


def test_a_box_into_another_view_ends_at_the_edge_and_stays_on_its_slice(shown, mouse, wait_until):
    import qt
    import slicer
    from PySide6.QtCore import QPoint
    from PySide6.QtTest import QTest

    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    mouse.key("B")
    mouse.press("Red", shown.volume, (14, 30, 10))
    QTest.mouseMove(view, QPoint(view.width + 300, view.height + 300))
    QTest.mouseRelease(view, qt.Qt.LeftButton, qt.Qt.NoModifier, QPoint(view.width + 300, view.height + 300))
    slicer.app.processEvents()
    wait_until(idle(shown))
    (prompt,) = sent(shown)
    assert (prompt.axis, prompt.slice) == ("K", 10)
