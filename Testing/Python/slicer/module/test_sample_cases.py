"""Sample cases for Slicer's Sample Data module: registered once, with checksums and pictures, harmless without it."""

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ICONS = Path(__file__).resolve().parents[4] / "MedSAM2Slicer/Resources/Icons"


@pytest.fixture
def sample_cases(app):
    from MedSAM2SlicerLib import SampleCases

    return SampleCases


@pytest.fixture
def sample_data(monkeypatch):
    """A Sample Data module that keeps what it is given; returns the list."""
    registered = []

    class SampleDataLogic:
        @staticmethod
        def registerCustomSampleDataSource(**source):
            if source not in registered:
                registered.append(source)

    module = ModuleType("SampleData")
    module.SampleDataLogic = SampleDataLogic
    monkeypatch.setitem(sys.modules, "SampleData", module)
    return registered


def test_without_the_sample_data_module_nothing_happens(sample_cases, monkeypatch):
    monkeypatch.setitem(sys.modules, "SampleData", None)
    assert sample_cases.registerSampleCases(str(ICONS)) is False


def test_every_case_has_an_address_a_checksum_and_a_picture(sample_cases, sample_data):
    assert sample_cases.registerSampleCases(str(ICONS))
    assert len(sample_data) == len(sample_cases.SAMPLE_CASES)
    for source in sample_data:
        assert re.fullmatch(r"https://(?:github|raw\.githubusercontent)\.com/[\w./-]+", source["uris"])
        assert re.fullmatch(r"SHA256:[0-9a-f]{64}", source["checksums"])
        assert "SHA256/" not in source["uris"] or source["uris"].endswith(source["checksums"].partition(":")[2])
        assert Path(source["thumbnailFileName"]).is_file()


def test_slicer_has_the_cases_once_it_has_started(sample_cases, sample_data, module):
    import slicer

    sample_data.clear()
    slicer.app.startupCompleted.emit()
    assert len(sample_data) == len(sample_cases.SAMPLE_CASES)


def test_a_module_that_is_added_to_a_running_slicer_has_cases_and_settings_at_once(sample_cases, sample_data, module):
    import MedSAM2Slicer

    entry = MedSAM2Slicer.MedSAM2Slicer
    assert entry.shortcutsSettings is None
    sample_data.clear()
    entry(SimpleNamespace(name="MedSAM2Slicer", path=str(ICONS.parents[1] / "MedSAM2Slicer.py")))
    assert len(sample_data) == len(sample_cases.SAMPLE_CASES)
    page = entry.shortcutsSettings
    assert page is not None
    MedSAM2Slicer.onStartupCompleted()
    assert entry.shortcutsSettings is page


def test_registering_again_adds_nothing(sample_cases, sample_data):
    for _time in range(2):
        sample_cases.registerSampleCases(str(ICONS))
    assert len(sample_data) == len(sample_cases.SAMPLE_CASES)


def test_pictures_are_small_and_square(sample_cases):
    from PIL import Image

    for case in sample_cases.SAMPLE_CASES:
        with Image.open(ICONS / case.thumbnail) as picture:
            assert picture.size == (256, 256)
        assert (ICONS / case.thumbnail).stat().st_size < 15_000
