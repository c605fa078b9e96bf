"""What the engine is told to see: choices, defaults, numbers and their text, for volumes of every kind."""

import time

import numpy as np
import pytest

from medsam2_protocol.messages import Window


@pytest.fixture
def windows(app):
    from MedSAM2SlicerLib import IntensityWindow

    return IntensityWindow


@pytest.fixture
def thorax():
    """Voxels KJI in HU: air around a body, one lung in it on the low side of I."""
    voxels = np.full((6, 60, 80), -1000, np.int16)
    voxels[:, 10:50, 5:75] = 40
    voxels[:, 15:45, 10:35] = -800
    return voxels


@pytest.fixture
def ct(add_volume, thorax):
    return add_volume(thorax)


@pytest.fixture
def mr(add_volume):
    return add_volume(np.random.default_rng(3).integers(0, 900, (6, 40, 50)).astype(np.int16), name="MR")


def with_unit(volume, unit):
    import slicer

    entry = slicer.vtkCodedEntry()
    entry.SetValueSchemeMeaning(unit, "UCUM", unit)
    volume.SetVoxelValueUnits(entry)
    return volume


@pytest.mark.parametrize(("name", "lower", "upper"), [("abdomen", -160, 240), ("lung", -1350, 150), ("brain", 0, 80)])
def test_a_preset_is_its_level_and_width(windows, ct, name, lower, upper):
    assert windows.windowOf(ct, name).window == Window(lower, upper)


def test_the_automatic_window_is_left_to_the_engine(windows, ct, mr):
    assert [windows.windowOf(volume, "auto").window for volume in (ct, mr)] == [None, None]


def test_as_displayed_is_what_the_user_has_set(windows, ct):
    display = ct.GetScalarVolumeDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(300, 50)
    assert windows.windowOf(ct, "displayed").window == Window(-100, 200)


def test_as_displayed_works_without_a_display_node_and_for_no_width(windows, ct):
    display = ct.GetScalarVolumeDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevel(0, 50)
    assert windows.windowOf(ct, "displayed").window == Window(50, 51)
    ct.SetAndObserveDisplayNodeID(None)
    assert windows.windowOf(ct, "displayed").window.upper <= 40


def test_percentiles_leave_out_the_padding(windows, add_volume):
    voxels = np.zeros((4, 40, 50), np.float32)
    voxels[1:3] = np.linspace(100, 200, 4000).reshape(2, 40, 50)
    window = windows.windowOf(add_volume(voxels), "percentiles").window
    assert 100 <= window.lower < 102
    assert 198 < window.upper <= 200


def test_percentiles_of_ones_own(windows, mr):
    assert windows.windowOf(mr, "percentiles:25:75").window.lower == pytest.approx(225, abs=15)


@pytest.mark.parametrize("value", [0.0, -7.5, 1e12])
@pytest.mark.parametrize("choice", ["percentiles", "displayed", "auto", "suv:0:20"])
def test_a_constant_volume_has_a_window_or_the_models_own(windows, add_volume, value, choice):
    volume = add_volume(np.full((3, 8, 9), value, np.float64))
    if choice.startswith("suv") and value > 1e3:
        with pytest.raises(windows.NoWindow, match="no SUV"):
            windows.windowOf(volume, choice)
    else:
        window = windows.windowOf(volume, choice).window
        assert window is None or window.lower < window.upper


def test_nan_and_infinity_are_passed_over(windows, add_volume):
    voxels = np.linspace(1, 10, 720, dtype=np.float32).reshape(3, 12, 20)
    voxels[0], voxels[1, 0] = np.nan, np.inf
    window = windows.windowOf(add_volume(voxels), "percentiles").window
    assert 1 < window.lower < window.upper <= 10
    assert windows.windowOf(add_volume(np.full((3, 4, 5), np.nan)), "percentiles").window == Window(0, 1)


def test_a_volume_without_voxels_says_so(windows, scene):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    with pytest.raises(windows.NoWindow, match="nothing has no voxels"):
        windows.windowOf(empty, "auto")
    for nothing in (empty, None):
        assert (windows.modalityOf(nothing), windows.defaultChoice(nothing)) == ("", "auto")
        assert windows.choices(nothing)


@pytest.mark.parametrize("choice", ["", "knee", "suv:5", "suv:9:1", "percentiles:a:b", "suv:nan:2"])
def test_a_choice_that_is_none_is_refused(windows, ct, choice):
    with pytest.raises(windows.NoWindow, match="is no window"):
        windows.windowOf(ct, choice)


def test_suv_is_refused_where_the_voxels_are_counts(windows, mr):
    with pytest.raises(windows.NoWindow, match="no SUV"):
        windows.windowOf(with_unit(mr, "Bq/ml"), "suv")


def test_suv_begins_at_zero(windows, add_volume):
    pet = with_unit(add_volume(np.random.default_rng(1).random((4, 9, 9)).astype(np.float32) * 12), "{SUVbw}g/ml")
    assert windows.windowOf(pet, "suv").window == Window(0, 10)
    assert windows.windowOf(pet, "suv:0:15").window == Window(0, 15)


def test_hounsfield_units_are_recognised_by_value_or_by_unit(windows, ct, mr):
    assert windows.modalityOf(ct) == "CT"
    assert windows.modalityOf(mr) == ""
    assert windows.modalityOf(with_unit(mr, "[hnsf'U]")) == "CT"


def test_what_dicom_says_counts_more_than_the_values(windows, ct):
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    hierarchy.SetItemAttribute(hierarchy.GetItemByDataNode(ct), "DICOM.Modality", "PT")
    assert windows.modalityOf(ct) == "PT"
    assert "percentiles" in [choice for choice, _title in windows.choices(ct)]


def test_defaults_fit_the_modality_and_are_offered(windows, ct, mr):
    assert (windows.defaultChoice(ct), windows.defaultChoice(mr)) == ("auto", "auto")
    for volume in (ct, mr):
        offered = [choice for choice, _title in windows.choices(volume)]
        assert windows.defaultChoice(volume) in offered
        assert all(windows.isChoice(choice) for choice in offered)


def test_the_panel_reads_what_it_came_to(windows, ct):
    lines = [windows.sentence(windows.windowOf(ct, choice), ct) for choice in ("abdomen", "auto")]
    assert lines == ["Abdomen: −160 to 240 HU", "Automatic: chosen for what each prompt lies in"]


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12346"), (-1350.0, "−1350"), (0.01234, "0.01234"), (2e9, "2e+09")]
)
def test_numbers_are_short_and_readable(windows, ct, value, text):
    ends = (value, value + 1e10)
    assert windows.sentence(windows.SeenWindow("displayed", Window(*ends)), ct).startswith(f"As displayed: {text} to")


def test_a_concentration_is_no_suv(windows, mr):
    assert windows.modalityOf(with_unit(mr, "mg/ml")) == ""


@pytest.mark.parametrize("choice", ["abdomen", "auto", "displayed", "percentiles:1:99", "suv:0:7.5"])
def test_a_stored_window_is_read_back_exactly(windows, mr, choice):
    seen = windows.windowOf(with_unit(mr, "") if choice.startswith("suv") is False else scaled(mr), choice)
    assert windows.SeenWindow.fromText(seen.toText()) == seen


def scaled(volume):
    import slicer

    slicer.util.updateVolumeFromArray(volume, slicer.util.arrayFromVolume(volume).astype(np.float32) / 100)
    return volume


@pytest.mark.parametrize(
    "text", ["", "|", "abdomen", "abdomen|1", "abdomen|2|1", "abdomen|a|b", "knee|0|1", "lung|nan|1"]
)
def test_a_text_that_nobody_wrote_is_none(windows, text):
    assert windows.SeenWindow.fromText(text) is None


@pytest.mark.parametrize("choice", ["abdomen", "displayed", "percentiles", "auto", "suv"])
def test_nothing_is_written_into_the_volume_or_its_display(windows, add_volume, thorax, choice):
    import slicer

    volume = add_volume((thorax / 100).astype(np.float32) + 11)
    before = slicer.util.arrayFromVolume(volume).copy()
    stamps = [volume.GetMTime(), volume.GetImageData().GetMTime(), volume.GetScalarVolumeDisplayNode().GetMTime()]
    windows.sentence(windows.windowOf(volume, choice), volume)
    after = [volume.GetMTime(), volume.GetImageData().GetMTime(), volume.GetScalarVolumeDisplayNode().GetMTime()]
    assert after == stamps
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), before)


def test_a_huge_volume_is_sampled_within_twenty_milliseconds(windows, add_volume):
    volume = add_volume(np.random.default_rng(0).integers(-1000, 1000, (300, 512, 512), dtype=np.int16))
    best_s = min(seconds(lambda: windows.windowOf(volume, windows.defaultChoice(volume))) for _ in range(5))
    assert best_s < 0.02
    assert min(seconds(lambda: windows.windowOf(volume, "percentiles")) for _ in range(5)) < 0.02


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
