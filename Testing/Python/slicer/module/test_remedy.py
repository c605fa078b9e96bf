"""The button beside a message: there while there is something to do, used up by the click."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def button(app: Any) -> Any:
    import qt

    return qt.QPushButton()


def test_without_a_remedy_there_is_no_button(button: Any) -> None:
    from MedSAM2SlicerLib.Remedy import RemedyButton

    RemedyButton(button)
    assert button.isHidden()


def test_the_button_says_what_it_does(button: Any) -> None:
    from MedSAM2SlicerLib.Remedy import Remedy, RemedyButton

    RemedyButton(button).show(Remedy("Use the CPU", lambda: None, "Slower, but it fits."))
    assert (button.text, button.toolTip) == ("Use the CPU", "Slower, but it fits.")
    assert not button.isHidden()


def test_a_click_acts_once_and_the_button_goes(button: Any) -> None:
    from MedSAM2SlicerLib.Remedy import Remedy, RemedyButton

    done = []
    RemedyButton(button).show(Remedy("Use the CPU", lambda: done.append("cpu")))
    button.click()
    button.click()
    assert done == ["cpu"]
    assert button.isHidden()


def test_an_action_may_offer_the_next_remedy(button: Any) -> None:
    from MedSAM2SlicerLib.Remedy import Remedy, RemedyButton

    remedies = RemedyButton(button)
    remedies.show(Remedy("First", lambda: remedies.show(Remedy("Second", lambda: None))))
    button.click()
    assert button.text == "Second"
    assert not button.isHidden()
