"""CMakeLists.txt, extension.s4ext, MedSAM2Slicer.json, pyproject.toml and CHANGELOG.md tell the same story."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

# The one place to change when the repository moves; the tests below then name every file that lags behind.
REPOSITORY = "https://github.com/MedSAM2Slicer/MedSAM2Slicer"
RAW = REPOSITORY.replace("github.com", "raw.githubusercontent.com") + "/main"

S4EXT_KEYS = ["scm", "scmurl", "scmrevision", "depends", "build_subdirectory", "homepage", "contributors", "category"]
S4EXT_KEYS += ["iconurl", "status", "tier", "description", "screenshoturls", "enabled"]
CATALOG_KEYS = {"$schema", "category", "scm_url", "scm_revision", "scm_type", "build_dependencies"}
CATALOG_KEYS |= {"build_subdirectory", "enabled", "tier"}
ANY_URL = re.compile(r"https://(?:raw\.githubusercontent|github)\.com/\w*MedSAM2Slicer\w*/\w+")


def read(file):
    return (ROOT / file).read_text(encoding="utf-8")


@pytest.fixture
def cmake():
    """Variable → value of every quoted `set` at the top level."""
    text = read("CMakeLists.txt")
    return dict(re.findall(r'^set\((\w+) "([^"]*)"\)$', text, re.MULTILINE))


@pytest.fixture
def s4ext():
    lines = read("extension.s4ext").splitlines()
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))


@pytest.fixture
def catalog():
    return json.loads(read("MedSAM2Slicer.json"))


@pytest.fixture
def pyproject():
    return read("pyproject.toml")


def test_all_versions_are_the_newest_in_the_changelog():
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", read("CHANGELOG.md"), re.M)
    assert released == sorted(released, key=lambda version: [int(part) for part in version.split(".")], reverse=True)
    for file, pattern in (
        ("pyproject.toml", r'^version = "(.*)"$'),
        ("CMakeLists.txt", r"^project\(MedSAM2Slicer VERSION (.*)\)$"),
        ("MedSAM2Slicer/medsam2_engine/version.py", r'^VERSION = "(.*)"$'),
    ):
        assert re.findall(pattern, read(file), re.M) == released[:1], file


def test_s4ext_has_slicers_keys_and_no_others(s4ext):
    assert list(s4ext) == S4EXT_KEYS


@pytest.mark.parametrize(
    "key", ["homepage", "contributors", "category", "iconurl", "status", "description", "screenshoturls", "depends"]
)
def test_s4ext_says_what_cmake_says(key, cmake, s4ext):
    assert s4ext[key] == cmake[f"EXTENSION_{key.upper()}"]


def test_no_value_is_a_list_to_cmake_which_slicer_would_keep_the_first_item_of(cmake):
    assert [name for name, value in cmake.items() if ";" in value] == []


def test_catalogue_entry_has_only_keys_of_its_schema(catalog):
    assert catalog["$schema"].endswith("/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert {"$schema", "category", "scm_url"} <= set(catalog) <= CATALOG_KEYS
    assert catalog["tier"] in (1, 3, 5)


def test_catalogue_entry_says_what_s4ext_says(catalog, s4ext):
    assert catalog["category"] == s4ext["category"] == "Segmentation"
    assert catalog["scm_url"] == s4ext["scmurl"] == f"{REPOSITORY}.git"
    assert catalog["scm_revision"] == s4ext["scmrevision"]
    assert catalog["build_subdirectory"] == s4ext["build_subdirectory"]
    assert catalog["tier"] == int(s4ext["tier"])
    assert not catalog["build_dependencies"]
    assert s4ext["depends"] == "NA"


def test_homepage_and_contributors_are_the_same_everywhere(cmake, pyproject):
    assert cmake["EXTENSION_HOMEPAGE"] == REPOSITORY
    assert f'Homepage = "{REPOSITORY}"' in pyproject
    assert f'authors = [{{ name = "{cmake["EXTENSION_CONTRIBUTORS"]}" }}]' in pyproject


@pytest.mark.parametrize(
    "file",
    ["CMakeLists.txt", "extension.s4ext", "MedSAM2Slicer.json", "pyproject.toml", "CHANGELOG.md", "README.md"],
)
def test_no_file_names_another_repository_of_ours(file):
    named = set(ANY_URL.findall(read(file)))
    assert named <= {REPOSITORY, RAW.removesuffix("/main")}


def test_icon_of_the_catalogue_is_a_file_of_128_pixels_here(cmake):
    from PIL import Image

    assert cmake["EXTENSION_ICONURL"].startswith(f"{RAW}/")
    with Image.open(ROOT / cmake["EXTENSION_ICONURL"].removeprefix(f"{RAW}/")) as icon:
        assert (icon.size, icon.format) == ((128, 128), "PNG")


def test_module_and_extension_show_the_same_icon():
    icons = ("Resources/MedSAM2Slicer.png", "MedSAM2Slicer/Resources/Icons/MedSAM2Slicer.png")
    extension, module = ((ROOT / icon).read_bytes() for icon in icons)
    assert extension == module


@pytest.fixture
def screenshots(cmake):
    """Paths of the catalogue's pictures in this repository."""
    urls = cmake["EXTENSION_SCREENSHOTURLS"].split(" ")
    assert all(url.startswith(f"{RAW}/") for url in urls)
    return [url.removeprefix(f"{RAW}/") for url in urls]


def test_screenshots_of_the_catalogue_are_pictures_of_the_readme(screenshots):
    assert [path for path in screenshots if f"]({path})" not in read("README.md")] == []
    assert [path for path in screenshots if not (ROOT / path).is_file()] == []


def test_screenshots_of_the_catalogue_show_the_panel_in_slicer(screenshots):
    """They are made by the script that works through the tutorial; the command line's picture shows no Slicer."""
    script = read("Testing/Screenshots/make_screenshots.py")
    names = [Path(path).stem for path in screenshots]
    assert len(names) >= 2
    assert [name for name in names if f'self._keep("{name}")' not in script] == []


def test_the_readme_shows_the_tutorial_and_names_its_case():
    from MedSAM2SlicerLib.SampleCases import TUTORIAL_CASE

    tutorial = re.search(r"^## Tutorial\n(.*?)^## ", read("README.md"), re.M | re.S).group(1)
    for step in ("preview", "done", "strip"):
        assert re.search(rf"\]\(Resources/Screenshots/tutorial-\d-{step}\.png\)", tutorial), step
    assert TUTORIAL_CASE.name in tutorial
    assert "Sample Data" in tutorial
    assert "](docs/tutorial.md)" in tutorial


def test_no_picture_is_larger_than_a_page_may_wait_for():
    large = [path.name for path in (ROOT / "Resources/Screenshots").glob("*.png") if path.stat().st_size > 350_000]
    assert large == []


def test_licence_is_apache_everywhere(pyproject):
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE.txt").read_text(
        encoding="utf-8"
    )
    assert 'license = "Apache-2.0"' in pyproject
    assert "[Apache-2.0](LICENSE.txt)" in read("README.md")


def test_engine_requirements_are_the_dependencies_of_the_package(pyproject):
    dependencies = re.search(r"^dependencies = \[(.*?)^\]", pyproject, re.M | re.S).group(1)
    text = read("MedSAM2Slicer/Resources/engine-requirements.txt")
    required = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert required == re.findall(r'^  "(.*)",$', dependencies, re.M)


def test_training_requirements_are_those_of_the_extra(pyproject):
    lists = dict(re.findall(r"^(finetune|pictures) = \[(.*?)\]$", pyproject, re.M | re.S))
    wanted = {name for text in lists.values() for name in re.findall(r'"([^"]+)"', text)}
    text = read("MedSAM2Slicer/Resources/training-requirements.txt")
    listed = {line for line in text.splitlines() if line and not line.startswith("#")}
    assert listed == wanted - {"medsam2slicer-engine[pictures]"}


def test_constraints_pin_every_requirement_exactly(pyproject):
    pins = dict(re.findall(r"^([\w-]+)==([\w.]+)", read("constraints.txt").lower(), re.M))
    lists = re.findall(r"^(?:dependencies|demo|finetune|pictures|test) = \[(.*?)\](?:$| #)", pyproject, re.M | re.S)
    names = {re.match(r"[\w-]+", entry).group() for text in lists for entry in re.findall(r'"([^"]+)"', text)}
    assert {name.lower() for name in names} - {"medsam2slicer-engine"} <= set(pins)


def test_every_link_of_the_readme_leads_to_a_file():
    links = re.findall(r"\]\((?!https?://|#)([^)]+)\)", read("README.md"))
    assert links
    assert [link for link in links if not (ROOT / link).is_file()] == []
