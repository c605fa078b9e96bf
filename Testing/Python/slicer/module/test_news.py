"""When the panel shows what there is to say."""

import pytest


@pytest.fixture
def news(app):
    """With what it told, in `told`."""
    from MedSAM2SlicerLib.News import News

    made = News()
    made.told = []
    made.onChanged = lambda: made.told.append(made.message)
    return made


def test_what_is_said_together_is_shown_once(news):
    with news.together():
        news.say("one")
        with news.together():
            news.say("two")
        assert news.told == []
    assert news.told == ["two"]


def test_what_the_engine_sent_is_shown_once_and_a_moment_later(news, wait_until):
    for text in ("one", "two"):
        with news.afterViews():
            news.say(text)
    assert (news.told, news.isBehind) == ([], True)
    wait_until(lambda: news.told)
    assert (news.told, news.isBehind) == (["two"], False)


def test_what_a_person_does_is_shown_at_once_with_all_that_waited(news, wait_until, app):
    with news.afterViews():
        news.say("of the engine")
    news.say("of the person")
    assert news.told == ["of the person"]
    wait_until(lambda: not news._rest.isActive())
    assert news.told == ["of the person"]


def test_what_was_said_before_an_error_is_shown(news):
    def fail():
        with news.together():
            news.say("one")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert news.told == ["one"]


def test_nobody_is_told_after_the_end(news, wait_until, app):
    with news.afterViews():
        news.say("one")
    news.stop()
    assert not news.isBehind
    assert not news._rest.isActive()


def test_the_views_show_a_preview_before_the_panel_speaks_of_it(module, add_volume, ball, mouse, wait_until):
    import slicer

    volume, order = add_volume(ball), []
    module.show(volume)
    window = slicer.app.layoutManager().sliceWidget("Red").sliceView().renderWindow()
    tag = window.AddObserver("EndEvent", lambda *_: order.append("view") if module.controller.hasPreview else None)
    changed = module.controller.news.onChanged
    module.controller.news.onChanged = lambda: (changed(), module.controller.hasPreview and order.append("panel"))
    mouse.key("B")
    mouse.drag("Red", volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: {"view", "panel"} <= set(order))
    window.RemoveObserver(tag)
    assert order[0] == "view"
