"""Errors can be read in a light and in a dark Slicer."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("background", ["#efefef", "#ffffff", "#2b2b2b", "#000000"])
def test_an_error_can_be_read_on_the_window(app, background):
    import qt

    from MedSAM2SlicerLib.ErrorStyle import errorStyle

    label = qt.QLabel()
    palette = qt.QPalette()
    palette.setColor(qt.QPalette.Window, qt.QColor(background))
    label.setPalette(palette)
    color = errorStyle(label).split("color: ")[1][:7]
    assert contrast(qt.QColor(color), qt.QColor(background)) >= 4.5


def test_what_is_no_error_any_more_looks_like_the_rest(app):
    import qt

    from MedSAM2SlicerLib.ErrorStyle import showError

    label = qt.QLabel()
    showError(label, True)
    showError(label, False)
    assert label.styleSheet == ""


def contrast(one, other):
    """Of two colours, as WCAG 2.1 defines it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color):
    parts = [value / 255 for value in (color.red(), color.green(), color.blue())]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
