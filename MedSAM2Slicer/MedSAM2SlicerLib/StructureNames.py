"""Names of structures after AAPM TG-263 (Report 263, 2018): suggestions, what is wrong with a name, the next free one.

A target is built in one order, everything but the type optional:

    GTV p 2 _CT1 _Liver _High -03 ^note
    type, classifier, number, _image, _structure, _dose, -cropping in mm, ^own words

Other structures are words with a capital, joined by underscores, with the side at the end (Kidney_L). Nothing here
forbids a name: TG-263 is a recommendation, and the sentences are advice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from slicer.i18n import tr as _

LONGEST = 16
TARGET_TYPES = ("GTV", "CTV", "ITV", "PTV", "IGTV", "ICTV", "PTV!")
CLASSIFIERS = ("n", "p", "sb", "par", "v", "vas")
SIDES = ("L", "R")
TARGET = re.compile(
    r"(?P<type>I?GTV|I?CTV|ITV|PTV!?)(?P<classifier>[a-z]*)(?P<number>\d*)"
    r"(?P<image>_(?:(?:CT|PT|MR|SP)\d+)+)?(?P<structures>(?:_[A-Za-z0-9.~]+)*)(?P<cropping>-\d+)?(?P<own>\^.+)?"
)
TARGET_LIKE = re.compile(r"[iI]?[gcpGCP][tT][vV]|[iI][tT][vV]")
STRUCTURE = re.compile(r"[A-Za-z0-9_~^.+!-]+")
SIDE_WORDS = re.compile(r"(?:^|[_ ])(?:left|right|lt|rt)(?=$|[_ ])", re.IGNORECASE)
SIDE_FIRST = re.compile(r"[LR]_")

TARGET_SUGGESTIONS = ("GTVp", "GTVn", "CTVp", "CTVn", "ITV", "PTVp", "PTVn")


def suggestions(otherNames: Iterable[str] = ()) -> list[str]:
    """Target names that no other segment has, the primary tumour first."""
    names = list(otherNames)
    return [nextFreeName(base, names) for base in TARGET_SUGGESTIONS]


def nextFreeName(base: str, otherNames: Iterable[str] = ()) -> str:
    """The name itself if it is free, else with the next number: GTVp, GTVp2, GTVp3_L; Liver, Liver^2.

    Names that differ in capitals only count as the same, as TG-263 wants.
    """
    taken = {name.casefold() for name in otherNames}
    number, name = 1, base
    while name.casefold() in taken:
        number += 1
        name = numbered(base, number)
    return name


def numbered(base: str, number: int) -> str:
    """The name with another number, at the place that TG-263 has for it."""
    found = TARGET.fullmatch(base)
    if found is None:
        return f"{base.partition('^')[0]}^{number}"
    head = found.end("classifier")
    return f"{base[:head]}{number}{base[found.end('number') :]}"


def withSide(name: str, side: str) -> str:
    """The name on the side "L" or "R", or on none (""): before cropping and own words, after everything else."""
    bare = name
    for letter in SIDES:
        bare = re.sub(rf"_{letter}(?=$|[-^])", "", bare)
    if not side:
        return bare
    place = re.search(r"-\d+(?=$|\^)|\^|$", bare).start()
    return f"{bare[:place]}_{side}{bare[place:]}"


def sideOf(name: str) -> str:
    """ "L", "R" or ""."""
    found = re.search(r"_([LR])(?=$|[-^])", name)
    return found.group(1) if found else ""


def violations(name: str, otherNames: Iterable[str] = ()) -> list[str]:
    """One sentence for everything in a name that TG-263 advises against; none for a good name."""
    if not name.strip():
        return [_("A structure needs a name.")]
    found = [*_length(name), *_characters(name), *_uniqueness(name, otherNames)]
    return found + (_target(name) if TARGET_LIKE.match(name) else _structure(name))


def _length(name: str) -> list[str]:
    if len(name) <= LONGEST:
        return []
    text = _("The name has {count} characters; treatment planning systems take {most}. Leave out underscores first.")
    return [text.format(count=len(name), most=LONGEST)]


def _characters(name: str) -> list[str]:
    if " " in name:
        return [_("Spaces are not allowed. Use an underscore between parts, and nothing inside a word.")]
    bad = sorted({letter for letter in name if not STRUCTURE.fullmatch(letter)})
    if not bad:
        return []
    text = _("{letters} cannot be used. Letters, digits and _ - ^ ~ . + ! can.")
    return [text.format(letters=" ".join(bad))]


def _uniqueness(name: str, otherNames: Iterable[str]) -> list[str]:
    same = next((other for other in otherNames if other.casefold() == name.casefold()), None)
    if same is None:
        return []
    if same == name:
        return [_("Another segment is called {name} already.").format(name=same)]
    text = _("Another segment is called {name}; names that differ in capitals only are taken for the same.")
    return [text.format(name=same)]


def _target(name: str) -> list[str]:
    found = TARGET.fullmatch(name)
    if found is None or name[: found.end("type")] not in TARGET_TYPES:
        text = _("A target starts with one of {types}, in capitals; then classifier, number, and parts after _.")
        return [text.format(types=", ".join(TARGET_TYPES))]
    sentences = []
    if found["classifier"] and found["classifier"] not in CLASSIFIERS:
        text = _("“{classifier}” is no classifier of a target. There are {classifiers}.")
        sentences.append(text.format(classifier=found["classifier"], classifiers=", ".join(CLASSIFIERS)))
    if found["number"].startswith("0"):
        sentences.append(_("Targets are numbered 1, 2, 3, without a leading zero."))
    if found["cropping"] and len(found["cropping"]) != 3:
        sentences.append(_("Cropping has two digits: -03 for 3 mm."))
    return sentences + _side(name)


def _structure(name: str) -> list[str]:
    sentences = []
    first = name.lstrip("_")[:1]
    if first.islower() and not name.startswith("z"):
        sentences.append(_("The first letter is a capital: {name}.").format(name=name[:1].upper() + name[1:]))
    if "__" in name or name.endswith("_"):
        sentences.append(_("One underscore stands between two parts, and none at the end."))
    return sentences + _side(name)


def _side(name: str) -> list[str]:
    if SIDE_WORDS.search(name) or SIDE_FIRST.match(name):
        return [_("The side is one letter at the end: _L or _R.")]
    return []
