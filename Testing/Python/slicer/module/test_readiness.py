"""What is done before the first prompt, so that its answer comes at once: silently, and only where it can be."""

import pytest


@pytest.fixture
def early(module, app):
    """The entered module, with the setting of somebody who has changed nothing, and what it asks of the engine."""
    from MedSAM2SlicerLib.Readiness import ON_DEMAND

    app.settings().setValue(ON_DEMAND, "")
    module.asked = []
    request = module.engine.request
    module.engine.request = lambda message, *rest: (module.asked.append(message), request(message, *rest))[1]
    yield module
    app.settings().setValue(ON_DEMAND, "true")


def names(module):
    return [type(message).__name__ for message in module.asked]


def rested(module, wait_until):
    """The idle time is over and the engine has nothing to do."""
    wait_until(lambda: not module.controller.readiness._idle.active and not module.engine.isBusy)


def test_entering_the_module_with_a_volume_starts_the_engine_and_prefetches_its_slice(
    early, add_volume, ball, wait_until
):
    volume = add_volume(ball)
    early.show(volume)
    early.leave()
    early.enter()
    wait_until(lambda: "Prefetch" in names(early))
    rested(early, wait_until)
    assert names(early) == ["OpenVolume", "Prefetch"]
    assert (early.asked[1].axis, early.asked[1].model) == ("K", "embedded")
    assert 0 <= early.asked[1].slice < 20
    assert early.ui.messageLabel.text == ""


def test_entering_without_a_volume_starts_the_engine_only(early, wait_until):
    early.leave()
    early.enter()
    wait_until(lambda: early.engine.hello is not None)
    assert early.asked == []


def test_the_panel_says_starting_from_entering_the_module_until_the_engine_is_ready(
    early, add_volume, ball, wait_until
):
    said = []
    early.engine.onChanged = lambda: (early.controller.news.changed(), said.append(early.ui.engineStatusLabel.text))
    early.leave()
    early.show(add_volume(ball))
    assert "it starts with the next tool or prompt" in early.ui.engineStatusLabel.text
    early.enter()
    assert (early.engine.state, early.ui.engineStatusLabel.text) == ("stopped", "Engine: starting…")
    wait_until(lambda: early.engine.hello is not None)
    assert said[0] == "Engine: starting…"
    wait_until(lambda: early.ui.engineStatusLabel.text == "Engine: ready on CPU.")


def test_the_engine_starts_before_the_voxels_are_written_for_it(early, monkeypatch, add_volume, ball, wait_until):
    opened = []
    monkeypatch.setattr(early.widget.engineVolume, "open", lambda *_arguments: opened.append(early.engine.state))
    early.show(add_volume(ball))
    wait_until(lambda: opened)
    assert opened == ["starting"]


def test_the_same_is_not_prefetched_twice(early, add_volume, ball, wait_until):
    early.show(add_volume(ball))
    wait_until(lambda: "Prefetch" in names(early))
    early.leave()
    early.enter()
    rested(early, wait_until)
    assert names(early).count("Prefetch") == 1


def test_another_model_is_loaded_before_it_is_used(early, add_volume, ball, wait_until):
    early.show(add_volume(ball))
    wait_until(lambda: "Prefetch" in names(early))
    early.parameters.model = "another"
    wait_until(lambda: names(early).count("Prefetch") == 2)
    assert early.asked[-1].model == "another"


def test_a_box_drawn_meanwhile_is_answered(early, fake_engine, add_volume, ball, mouse, wait_until):
    early.volume = add_volume(ball)
    early.show(early.volume)
    early.controller.setBoxArmed(True)
    mouse.drag("Red", early.volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: not early.controller.isBusy)
    assert early.controller.hasPreview, early.controller.message


def test_without_an_engine_nothing_is_started_and_nothing_said(early, add_volume, ball, wait_until):
    from MedSAM2SlicerLib.Environment import EngineNotInstalled

    class NoEngine:
        def command(self):
            raise EngineNotInstalled("The engine is not installed.")

    early.engine.environment = NoEngine()
    early.show(add_volume(ball))
    rested(early, wait_until)
    assert early.engine.state == "stopped"
    assert early.asked == []
    assert early.ui.messageLabel.text == ""


def test_an_engine_that_died_is_not_started_again_by_itself(early, fake_engine, add_volume, ball, wait_until):
    early.engine.environment = fake_engine("broken", "broken")
    early.show(add_volume(ball))
    wait_until(lambda: early.engine.trouble)
    early.leave()
    early.enter()
    rested(early, wait_until)
    assert len(early.engine.environment.pids()) == 1
    assert early.ui.messageLabel.text == ""


def test_whoever_wants_it_gets_the_engine_with_the_first_tool_only(early, app, add_volume, ball, wait_until):
    from MedSAM2SlicerLib.Readiness import ON_DEMAND

    app.settings().setValue(ON_DEMAND, "true")
    early.show(add_volume(ball))
    rested(early, wait_until)
    assert early.engine.state == "stopped"
    assert early.ui.engineStatusLabel.text == "Engine: installed; it starts with the next tool or prompt."
    early.controller.setBoxArmed(True)
    wait_until(lambda: "Prefetch" in names(early))


def test_in_another_module_nothing_is_begun(early, add_volume, ball, wait_until):
    early.leave()
    early.show(add_volume(ball))
    rested(early, wait_until)
    assert early.engine.state == "stopped"
    early.enter()


def test_nothing_is_written_to_prompts_or_scene(early, add_volume, ball, wait_until, scene):
    early.show(add_volume(ball))
    before = scene.GetNumberOfNodes()
    wait_until(lambda: "Prefetch" in names(early))
    assert scene.GetNumberOfNodes() == before
    assert early.parameters.segmentation is None
