"""What a person reads about a model: what it is, what a download or a deletion would do, and how that ended."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from slicer.i18n import tr as _

from MedSAM2SlicerLib.EngineLists import shortTitle
from MedSAM2SlicerLib.InstallPlan import freeBytes, withoutPassword
from MedSAM2SlicerLib.InstallText import PlanText
from MedSAM2SlicerLib.ListedModel import ListedModel
from MedSAM2SlicerLib.ModelCommands import ADD, DOWNLOAD, RECOGNISE, REMOVE, VERIFY, ModelOutcome


def rowText(model: ListedModel) -> str:
    if model.isInstalled:
        state = _("installed")
    elif model.isRemovable:
        state = _("incomplete")
    else:
        state = megabytes(model.size) if model.size else _("size unknown")
    return f"{shortTitle(model.title)} · {state}"


def detailText(model: ListedModel) -> str:
    parts = [f"{model.title}.", model.purpose, _("Licence: {licence}.").format(licence=model.licence.rstrip("."))]
    if model.base:
        parts.append(_("An adapter for {base}.").format(base=model.base))
    if model.isInstalled and model.isRemovable:
        parts.append(_("In {folder}.").format(folder=model.place))
    elif model.isInstalled:
        parts.append(_("Comes with the extension."))
    elif not model.isDownloadable:
        parts.append(_("Its authors publish no address: add it from a file."))
    return " ".join(parts)


def placeText(models: tuple[ListedModel, ...]) -> str:
    """The folder of all of them."""
    return _("Now in {folder}").format(folder=Path(models[0].place).parent) if models else ""


def downloadText(model: ListedModel, mirror: str, proxy: str) -> PlanText:
    lines = [
        _("What: {title}. {purpose}").format(title=model.title, purpose=model.purpose),
        _howLarge(model),
        _fromWhere(model, mirror, proxy),
        _("Licence: {licence}. {note}").format(licence=model.licence.rstrip("."), note=model.licenceNote).strip(),
        *([_("It is used only if its SHA-256 is the published one.")] if model.hasChecksum else []),
        _("Into: {folder}.").format(folder=model.place),
    ]
    title = _("Continue the download?") if model.isRemovable else _("Download the model?")
    return PlanText(title, tuple(lines), _("Download now"))


def removalText(model: ListedModel) -> PlanText:
    lines = [_("This folder is deleted: {folder}.").format(folder=model.place)]
    lines.append(
        _("It can only be brought back from your own file.")
        if model.isOwn
        else _("It can be downloaded again at any time.")
    )
    lines.append(_("Prompts and segments stay as they are."))
    return PlanText(_("Delete {title}?").format(title=model.title), tuple(lines), _("Delete now"))


def outcomeText(outcome: ModelOutcome) -> str:
    """A sentence for whoever asked for it."""
    if not outcome.hasSucceeded:
        return outcome.sentence
    return _OUTCOMES[outcome.action](outcome.facts)


def progressText(model: str, done: int, total: int) -> str:
    if total:
        text = _("Downloading {model}: {done} of {total}")
        return text.format(model=model, done=megabytes(done), total=megabytes(total))
    return _("Downloading {model}: {done}").format(model=model, done=megabytes(done))


def megabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _howLarge(model: ListedModel) -> str:
    free = megabytes(freeBytes(Path(model.place)))
    if not model.size:
        return _("Size: its authors publish none; {free} are free.").format(free=free)
    return _("Size: {size}; {free} are free.").format(size=megabytes(model.size), free=free)


def _fromWhere(model: ListedModel, mirror: str, proxy: str) -> str:
    hosts = urlsplit(mirror).hostname or mirror if mirror else ", ".join(model.hosts)
    if proxy:
        hosts = _("{hosts}, through {proxy}").format(hosts=hosts, proxy=withoutPassword(proxy))
    return _("From: {hosts}. No image and nothing about it leaves this computer.").format(hosts=hosts)


def _arrived(facts) -> str:
    file = facts["files"][0]
    size, sha256 = megabytes(sum(one["size"] for one in facts["files"])), file["sha256"][:12]
    if facts["own"]:
        text = _("{title} is installed: {size}, SHA-256 {sha256}….")
    elif facts["published"]:
        text = _("{title} is installed: {size}, SHA-256 {sha256}… as published.")
    else:
        text = _("{title} is installed: {size}, SHA-256 {sha256}… (none is published; this one is kept).")
    return text.format(title=facts["title"], size=size, sha256=sha256)


def _verified(facts) -> str:
    isPublished = facts["published"] and not facts["own"]
    text = _("{title} is as published.") if isPublished else _("{title} is as it was first received.")
    return text.format(title=facts["title"])


_OUTCOMES = {
    DOWNLOAD: _arrived,
    ADD: _arrived,
    VERIFY: _verified,
    REMOVE: lambda facts: _("{title} was deleted.").format(title=facts["title"]),
    RECOGNISE: lambda facts: str(facts["text"]),
}
