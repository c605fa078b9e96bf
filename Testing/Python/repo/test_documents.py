"""The documents lead somewhere, show pictures that are there, and name the version and the files that are."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted((ROOT / "docs").rglob("*.md"))
sys.path.insert(0, str(ROOT / "MedSAM2Slicer"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_every_link_leads_to_a_file(document):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).is_file()] == []


def test_the_citation_has_the_version_of_the_package():
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M).group(1)
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    released = re.search(rf"^## \[{re.escape(version)}\] - (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert f"\nversion: {version}\n" in citation
    assert f"\ndate-released: {released.group(1)}\n" in citation


def test_the_tutorial_names_every_sample_case():
    from MedSAM2SlicerLib.SampleCases import SAMPLE_CASES

    tutorial = " ".join((ROOT / "docs/tutorial.md").read_text(encoding="utf-8").split())
    assert [case.name for case in SAMPLE_CASES if case.name not in tutorial] == []


def test_the_checklist_has_a_state_for_every_line():
    checklist = (ROOT / "docs/extensions-index.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| (?!Requirement|---|Question)[^|]+\| ([^|]+) \|[^|]*\|$", checklist, re.M)
    assert len(lines) >= 25
    assert set(lines) <= {"done", "open", "account"}
