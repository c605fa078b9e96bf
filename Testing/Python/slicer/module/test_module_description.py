"""What Help & Acknowledgement say, and that their links lead to this project's own pages and to the two papers."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]


def cmake(variable):
    return re.search(rf'^set\({variable} "([^"]*)"\)$', (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"), re.M)[1]


@pytest.fixture
def description(module):
    """The module's own, as Slicer shows it."""
    import slicer

    return slicer.modules.medsam2slicer


def links(text):
    return re.findall(r'<a href="([^"]+)">', text)


def test_the_documentation_is_at_the_homepage_of_the_metadata(description):
    assert links(description.helpText)
    for link in links(description.helpText):
        assert link == cmake("EXTENSION_HOMEPAGE") or link.startswith(f"{cmake('EXTENSION_HOMEPAGE')}/blob/main/")
    assert cmake("EXTENSION_HOMEPAGE") in links(description.helpText)


def test_every_page_that_is_linked_is_in_this_repository(description):
    pages = [link for link in links(description.helpText + description.acknowledgementText) if "/blob/main/" in link]
    assert len(pages) == 3
    assert [page for page in pages if not (ROOT / page.partition("/blob/main/")[2]).is_file()] == []


def test_the_help_says_the_three_steps_the_warning_and_that_nothing_leaves_the_computer(description):
    for words in ("Press B", "Drag around", "Press Space", "Not for clinical use", "person has to check", "leaves it"):
        assert words in description.helpText


@pytest.mark.parametrize("words", ["Apache-2.0", "Ravi et al.", "Ma et al."])
def test_licence_and_papers_are_acknowledged(description, words):
    assert words in description.acknowledgementText


def test_the_papers_are_those_of_the_citation(description):
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    papers = [link for link in links(description.acknowledgementText) if "arxiv" in link]
    assert len(papers) == 2
    assert [paper for paper in papers if f"url: {paper}\n" not in citation] == []
