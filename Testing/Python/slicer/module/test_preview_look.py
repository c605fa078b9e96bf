"""A preview is well visible in every view, unmistakably a preview, and leaves nothing behind. Judged by pixels."""

import numpy as np
import pytest

from panel_hands import box, idle

VIEWS = ("Red", "Green", "Yellow")
GROUNDS = {"dark": 330, "grey": 80, "bright": -150}  # level of a window that is much wider than what is in it
WINDOW = 600
TISSUE = (128 / 255, 174 / 255, 128 / 255)  # what Slicer gives the first segment
SEEN, CLEAR = 30, 100  # of 255, in the channel that differs most: a fill that can be looked through, and an outline


@pytest.fixture
def shown(module, add_volume, ball):
    """A lesion of 120 on noise around 50: hardly brighter than its ground, as in soft tissue."""
    noise = np.random.default_rng(1).normal(0, 3, ball.shape)
    module.volume = add_volume((50 + 0.35 * ball + noise).astype(np.int16))
    module.show(module.volume)
    ground(module, "grey")
    jump(module)
    module.ui.addSegmentButton.click()
    colour(module, TISSUE)
    return module


def colour(module, rgb):
    segmentation = module.parameters.segmentation.GetSegmentation()
    segmentation.GetSegment(module.parameters.segmentId).SetColor(*rgb)


def ground(module, name):
    display = module.volume.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(WINDOW, GROUNDS[name])


def jump(module, k=10.0):
    import slicer

    slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, k, False)


def preview(module, wait_until, index=10):
    box(module, wait_until, index)
    assert module.controller.hasPreview, module.controller.message


def propagate(module, wait_until):
    module.controller.propagate()
    wait_until(idle(module))
    assert "Done" in module.ui.messageLabel.text


def display_of(module):
    return module.parameters.segmentation.GetDisplayNode()


def picture(name):
    """Of a view by name, without prompts."""
    import slicer

    for node in slicer.util.getNodesByClass("vtkMRMLMarkupsNode"):
        node.GetDisplayNode().SetVisibility(False)
    slicer.app.processEvents()
    return view(name).hostPixels().astype(int)


def view(name):
    import slicer

    return slicer.app.layoutManager().sliceWidget(name).sliceView()


def contrast(module, name):
    """How much every pixel of a view differs from what it is without the segment."""
    display = display_of(module)
    with_segment = picture(name)
    display.SetVisibility(False)
    difference = np.abs(with_segment - picture(name)).max(axis=2)
    display.SetVisibility(True)
    return difference


def words(name):
    """The text actors in a view."""
    props = view(name).renderWindow().GetRenderers().GetFirstRenderer().GetViewProps()
    actors = [props.GetItemAsObject(number) for number in range(props.GetNumberOfItems())]
    return [actor.GetInput().strip() for actor in actors if actor.IsA("vtkTextActor") and actor.GetVisibility()]


def own_words():
    return {name: words(name).count("Preview") for name in VIEWS}


def look(module):
    """All that is in the scene of how segments look."""
    display, segmentId = display_of(module), module.parameters.segmentId
    color = display.GetSegmentOverrideColor(segmentId)
    return (
        display.GetSegmentOpacity2DFill(segmentId),
        display.GetSegmentOpacity2DOutline(segmentId),
        display.GetSliceIntersectionThickness(),
        (color.GetX(), color.GetY(), color.GetZ()),
    )


@pytest.mark.parametrize("name", GROUNDS)
def test_a_preview_stands_out_from_a_ground_in_every_view(shown, wait_until, screenshots, name):
    import slicer

    preview(shown, wait_until)
    ground(shown, name)
    slicer.app.processEvents()
    slicer.util.mainWindow().grab().save(str(screenshots / f"preview-on-{name}.png"))
    for one in VIEWS:
        difference = contrast(shown, one)
        changed = difference[difference > 0]
        assert np.percentile(changed, 5) >= SEEN, one
        assert (difference >= CLEAR).sum() >= 200, one


def test_the_middle_of_a_preview_can_be_looked_through(shown, wait_until):
    """Black under it stays darker than white under it by most of what it was."""
    preview(shown, wait_until)
    middles = []
    for name in ("dark", "bright"):
        ground(shown, name)
        middles.append(picture("Red")[tuple(size // 2 for size in picture("Red").shape[:2])])
    assert (middles[1] - middles[0]).min() >= 0.6 * 255 * 480 / WINDOW


def test_a_preview_is_another_colour_than_its_result_which_is_its_own(shown, wait_until, screenshots):
    preview(shown, wait_until)
    asked = picture("Red")
    propagate(shown, wait_until)
    found = picture("Red")
    differs = np.abs(asked - found).max(axis=2)
    inside = contrast(shown, "Red") > 0
    assert np.median(differs[inside]) >= SEEN
    assert (differs[inside] >= CLEAR).sum() >= 200


def test_a_magenta_lesion_has_a_preview_of_another_colour(shown, wait_until):
    colour(shown, (0.9, 0.2, 0.9))
    preview(shown, wait_until)
    asked = picture("Red")
    propagate(shown, wait_until)
    differs = np.abs(asked - picture("Red")).max(axis=2)
    assert (differs >= CLEAR).sum() >= 200


def test_another_lesion_keeps_its_colour_and_fill_while_one_is_previewed(shown, wait_until):
    preview(shown, wait_until)
    propagate(shown, wait_until)
    first = shown.parameters.segmentId
    display, before = display_of(shown), look(shown)
    shown.ui.addSegmentButton.click()
    preview(shown, wait_until)
    assert display.GetSegmentOpacity2DFill(first) == before[0]
    assert display.GetSegmentOverrideColor(first).GetX() == before[3][0] == -1.0


@pytest.mark.parametrize("end", ["discard", "propagate", "leave", "other lesion", "undo", "no more prompts"])
def test_everything_is_put_back_exactly_when_a_preview_ends(shown, wait_until, end):
    before = look(shown)
    segmentId = shown.parameters.segmentId
    preview(shown, wait_until)
    assert all(now != one for now, one in zip(look(shown)[::2], before[::2], strict=True))
    assert own_words() == {"Red": 1, "Green": 0, "Yellow": 0}
    {
        "discard": shown.controller.cancel,
        "propagate": lambda: propagate(shown, wait_until),
        "leave": shown.leave,
        "other lesion": shown.ui.addSegmentButton.click,
        "undo": shown.controller.undo,
        "no more prompts": lambda: shown.controller.removePrompt(shown.controller.promptNodes()[0]),
    }[end]()
    shown.parameters.segmentId = segmentId
    assert look(shown) == before
    assert own_words() == dict.fromkeys(VIEWS, 0)
    if end == "leave":
        shown.enter()


def test_opacities_that_the_user_has_chosen_come_back_and_do_not_hide_a_preview(shown, wait_until):
    display, segmentId = display_of(shown), shown.parameters.segmentId
    display.SetOpacity2DFill(0.05)
    display.SetOpacity2DOutline(0.1)
    display.SetSegmentOpacity2DFill(segmentId, 0.7)
    display.SetSliceIntersectionThickness(4)
    before = look(shown)
    preview(shown, wait_until)
    difference = contrast(shown, "Red")
    assert np.percentile(difference[difference > 0], 5) >= SEEN
    assert (difference >= CLEAR).sum() >= 200
    shown.controller.cancel()
    assert look(shown) == before


def test_what_somebody_changes_during_a_preview_stays_changed(shown, wait_until):
    before = look(shown)
    preview(shown, wait_until)
    display_of(shown).SetSegmentOpacity2DFill(shown.parameters.segmentId, 0.9)
    shown.controller.cancel()
    assert look(shown) == (0.9, *before[1:])


def test_a_lesion_that_is_hidden_stays_hidden(shown, wait_until):
    display_of(shown).SetSegmentVisibility(shown.parameters.segmentId, False)
    preview(shown, wait_until)
    assert not contrast(shown, "Red").any()


def test_the_outlines_get_their_thickness_back_when_the_previewed_segment_is_deleted(shown, wait_until):
    before = look(shown)
    preview(shown, wait_until)
    shown.parameters.segmentation.GetSegmentation().RemoveSegment(shown.parameters.segmentId)
    shown.controller.cancel()
    assert display_of(shown).GetSliceIntersectionThickness() == before[2]
    assert own_words() == dict.fromkeys(VIEWS, 0)


def test_where_nothing_was_found_nothing_looks_like_a_preview(shown, fake_engine, wait_until):
    before = look(shown)
    shown.engine.environment = fake_engine("empty")
    box(shown, wait_until)
    assert look(shown) == before
    assert own_words() == dict.fromkeys(VIEWS, 0)


# ---- the word in the views


def test_the_word_follows_the_views_to_and_from_the_slice_of_the_preview(shown, wait_until):
    preview(shown, wait_until)
    plain = picture("Red")
    jump(shown, 12.0)
    wait_until(lambda: own_words()["Red"] == 0)
    jump(shown)
    wait_until(lambda: own_words()["Red"] == 1)
    np.testing.assert_array_equal(picture("Red"), plain)


def test_the_word_can_be_read_and_covers_no_annotation_of_slicer(shown, wait_until):
    before = [view("Red").cornerAnnotation().GetText(number) for number in range(8)]
    preview(shown, wait_until)
    with_word = picture("Red")
    shown.controller.previewing._preview._look.hideLabel()
    rows, columns = np.nonzero((with_word != picture("Red")).any(axis=2))
    height, width = with_word.shape[:2]
    assert rows.max() < height / 6
    assert abs((columns.min() + columns.max()) / 2 - width / 2) <= 3
    assert with_word[rows.min() : rows.max(), columns.min() : columns.max()].max() == 255
    assert [view("Red").cornerAnnotation().GetText(number) for number in range(8)] == before


def test_a_view_that_another_layout_brings_shows_the_word_too(shown, wait_until):
    import slicer

    layouts, node = slicer.app.layoutManager(), slicer.vtkMRMLLayoutNode
    before = layouts.layout
    preview(shown, wait_until)
    layouts.setLayout(node.SlicerLayoutTwoOverTwoView)
    shown.show(shown.volume)
    jump(shown)
    try:
        slicer.app.processEvents()
        extra = [name for name in layouts.sliceViewNames() if name not in VIEWS and words(name) == ["Preview"]]
        assert extra or own_words()["Red"] == 1
    finally:
        layouts.setLayout(before)


def test_nothing_of_the_word_is_in_the_scene(shown, wait_until):
    import slicer

    preview(shown, wait_until)
    shown.controller.previewing._preview._look.hideLabel()
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    shown.controller.previewing._preview._look._label.show()
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_a_closed_scene_takes_the_word_with_it(shown, wait_until):
    import slicer

    preview(shown, wait_until)
    slicer.mrmlScene.Clear(0)
    assert own_words() == dict.fromkeys(VIEWS, 0)


def test_a_reloaded_module_takes_the_word_with_it_and_puts_the_look_back(shown, wait_until):
    import slicer

    before = look(shown)
    node, segmentId = shown.parameters.segmentation, shown.parameters.segmentId
    preview(shown, wait_until)
    slicer.util.reloadScriptedModule("MedSAM2Slicer")
    assert own_words() == dict.fromkeys(VIEWS, 0)
    display = node.GetDisplayNode()
    assert display.GetSegmentOpacity2DFill(segmentId) == before[0]
    assert display.GetSegmentOverrideColor(segmentId).GetX() == -1.0
    assert display.GetSliceIntersectionThickness() == before[2]


def test_a_scene_saved_during_a_preview_comes_back_with_the_look_of_a_result(shown, wait_until, tmp_path, app):
    import slicer

    before = look(shown)
    preview(shown, wait_until)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    assert own_words()["Red"] == 1
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    app.processEvents()
    shown.widget.enter()
    assert look(shown) == before
    assert own_words() == dict.fromkeys(VIEWS, 0)


@pytest.mark.parametrize(
    ("text", "fill", "thickness"),
    [
        ("0.8", 0.8, None),
        ("0.8 1.0 2 -1.0 -1.0 -1.0", 0.8, 2),
        ("7 1 2", None, None),
        ("nan", None, None),
        ("a b", None, None),
    ],
)
def test_a_note_of_an_earlier_version_and_a_broken_one_are_read(app, text, fill, thickness):
    from MedSAM2SlicerLib.SegmentLook import lookOfText

    look = lookOfText(text)
    assert (look.fill, look.thickness) == (fill, thickness)
