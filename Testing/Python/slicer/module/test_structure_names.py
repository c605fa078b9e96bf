"""TG-263: names that are good, what is wrong with the others, numbers and sides."""

import pytest


@pytest.fixture
def names(app):
    from MedSAM2SlicerLib import StructureNames

    return StructureNames


@pytest.mark.parametrize(
    "name",
    [
        "GTVp",
        "GTVn2",
        "GTVp1",
        "CTVsb",
        "PTV!",
        "IGTVp",
        "PTVp1_CT1PT1",
        "PTV_High",
        "PTV_50.4Gy",
        "PTV_Liver_20Gyx3",
        "CTVp2-05",
        "GTV_Liver^ICG",
        "GTVp_L",
        "Kidney_L",
        "SpinalCord_PRV05",
        "Bone_Mandible",
        "Brain~",
        "zPTVopt",
        "A_Aorta",
        "Lungs-GTV",
    ],
)
def test_a_name_of_the_standard_is_good(names, name):
    assert names.violations(name) == []


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("", "needs a name"),
        ("GTV_Mediastinum_L", "17 characters"),
        ("GTV p", "Spaces"),
        ("GTVp/2", "/ cannot be used"),
        ("Läsion", "ä cannot be used"),
        ("gtvp", "in capitals"),
        ("GTVtumour", "“tumour” is no classifier"),
        ("GTVp01", "leading zero"),
        ("PTV-3", "two digits"),
        ("liver", "Liver"),
        ("Kidney_left", "_L or _R"),
        ("Kidney Right", "_L or _R"),
        ("L_Kidney", "_L or _R"),
        ("Kidney__L", "One underscore"),
        ("Kidney_", "One underscore"),
    ],
)
def test_every_violation_has_its_sentence(names, name, word):
    sentences = names.violations(name)
    assert any(word in sentence for sentence in sentences), sentences
    assert all(sentence.endswith(".") for sentence in sentences)


def test_a_name_that_is_there_already_is_told_and_so_is_another_spelling(names):
    assert "called GTVp already" in names.violations("GTVp", ["GTVp"])[0]
    assert "differ in capitals only" in names.violations("Liver", ["LIVER"])[0]


@pytest.mark.parametrize(
    ("base", "taken", "free"),
    [
        ("GTVp", [], "GTVp"),
        ("GTVp", ["GTVp"], "GTVp2"),
        ("GTVp", ["gtvp", "GTVp2"], "GTVp3"),
        ("GTVp_L", ["GTVp_L"], "GTVp2_L"),
        ("PTV_High-03", ["PTV_High-03"], "PTV2_High-03"),
        ("GTVp1", ["GTVp1"], "GTVp2"),
        ("Liver", ["Liver"], "Liver^2"),
        ("Liver", ["Liver", "Liver^2"], "Liver^3"),
    ],
)
def test_the_next_free_name_counts_where_the_standard_wants_it(names, base, taken, free):
    assert names.nextFreeName(base, taken) == free


def test_suggestions_are_free_and_good_whatever_is_there(names):
    taken = ["GTVp", "GTVp2", "GTVn", "Liver"]
    found = names.suggestions(taken)
    assert found[:2] == ["GTVp3", "GTVn2"]
    assert [name for name in found if names.violations(name, taken)] == []


@pytest.mark.parametrize(
    ("name", "side", "named"),
    [
        ("GTVp", "L", "GTVp_L"),
        ("GTVp_L", "R", "GTVp_R"),
        ("GTVp_R", "", "GTVp"),
        ("Kidney", "R", "Kidney_R"),
        ("PTV_Lung-03", "L", "PTV_Lung_L-03"),
        ("GTV^ICG", "L", "GTV_L^ICG"),
    ],
)
def test_the_side_comes_before_cropping_and_own_words(names, name, side, named):
    assert names.withSide(name, side) == named
    assert names.sideOf(named) == side
