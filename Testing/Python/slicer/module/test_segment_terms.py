"""Slicer's terminology for a segment: the string that Slicer itself reads, and colours that can be told apart."""

import pytest


@pytest.fixture
def terms(app):
    from MedSAM2SlicerLib import SegmentTerms

    return SegmentTerms


@pytest.fixture
def segment(app):
    import slicer

    return slicer.vtkSegment()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("GTVp", "SCT^4147007^Mass"),
        ("GTVn2", "SCT^59441001^Lymph node"),
        ("IGTVn", "SCT^59441001^Lymph node"),
        ("PTV_High", "SCT^4147007^Mass"),
        ("LN_Neck", "SCT^59441001^Lymph node"),
        ("Liver", "SCT^10200004^Liver"),
        ("Lung_L", "SCT^39607008^Lung~SCT^7771000^Left"),
        ("Kidney_R^2", "SCT^64033007^Kidney~SCT^24028007^Right"),
        ("Anything", "SCT^85756007^Tissue"),
    ],
)
def test_a_name_says_what_the_segment_is(terms, segment, name, code):
    import vtk

    segment.SetName(name)
    terms.applyTermOfName(segment)
    entry = vtk.reference("")
    assert segment.GetTag("TerminologyEntry", entry)
    assert code in str(entry)


def test_the_entry_has_the_seven_parts_that_slicer_parses(terms):
    entry = terms.NEOPLASM.entry()
    assert entry.split("~")[0] == "Segmentation category and type - 3D Slicer General Anatomy list"
    assert [len(part.split("^")) for part in entry.split("~")] == [1, 3, 3, 3, 1, 3, 3]


def test_slicer_itself_reads_the_entry(terms):
    import slicer

    if not hasattr(slicer, "vtkSlicerTerminologiesModuleLogic"):
        pytest.skip("no terminology logic here")
    entry = slicer.vtkSlicerTerminologyEntry()
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    assert logic.DeserializeTerminologyEntry(terms.ORGANS["Kidney"].entry("L"), entry)
    assert entry.GetTypeObject().GetCodeMeaning() == "Kidney"
    assert entry.GetTypeModifierObject().GetCodeMeaning() == "Left"


def test_ten_lesions_have_ten_colours(terms):
    colors = []
    for _number in range(10):
        colors.append(terms.distinct(terms.NEOPLASM.rgb(), colors))
    assert len({tuple(round(value, 3) for value in color) for color in colors}) == 10
    assert colors[0] == terms.NEOPLASM.rgb()
    assert all(0 <= value <= 1 for color in colors for value in color)


def test_every_term_on_offer_has_a_title(terms):
    assert [title for title, term in terms.terms() if not title or not term.entry()] == []
