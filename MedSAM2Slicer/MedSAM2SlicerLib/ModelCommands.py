"""`medsam2 models` in the background: the list, a download, a check, a deletion, a file looked at, a file added.

One command at a time, run by the engine's Python; Qt tells by signals how it goes, so nothing here waits. It ends with
exactly one `ModelOutcome`, unless it is cancelled, which kills the process: what has been downloaded is kept, and the
next download goes on from there. Whatever has changed what is there is followed by the list, read again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from slicer.i18n import tr as _

from MedSAM2SlicerLib.ChildEnvironment import withProxy
from MedSAM2SlicerLib.CommandRun import ENGINE_SIGN, CommandEnd, CommandRun, toldBy
from MedSAM2SlicerLib.Environment import EngineEnvironment, EngineNotInstalled, cleanEnvironment
from MedSAM2SlicerLib.InstallPlan import Attempt, normalizedProxy
from MedSAM2SlicerLib.ListedModel import ListedModel, listedModels
from MedSAM2SlicerLib.Sentences import withoutCommands

LIST, DOWNLOAD, VERIFY, REMOVE, RECOGNISE, ADD = "list", "download", "verify", "remove", "recognise", "add"
_CHANGING = (DOWNLOAD, REMOVE, ADD)


@dataclass(frozen=True)
class ModelOutcome:
    """The end of a command. `facts` is what it said to programs, empty if it failed; `sentence` is why it failed."""

    action: str
    modelId: str
    hasSucceeded: bool
    facts: dict[str, Any] = field(default_factory=dict)
    sentence: str = ""


@dataclass(frozen=True)
class OwnModel:
    """What a person says of a file of theirs. 0 and "" are what the file itself says, or nothing."""

    path: str
    modelId: str = ""
    title: str = ""
    imageSize: int = 0
    base: str = ""


class ModelCommands:
    """`environment` knows the engine's Python; `proxy` is asked before every download.

    Callbacks: `onChanged` when `action` or `models` has changed; `onProgress(done, total)` in bytes, total 0 where it
    is unknown; `onEnded(outcome)`, not for the list.
    """

    def __init__(self, environment: EngineEnvironment, packageFolder, proxy: Callable[[], str]) -> None:
        self.onChanged: Callable[[], None] = lambda: None
        self.onProgress: Callable[[int, int], None] = lambda done, total: None
        self.onEnded: Callable[[ModelOutcome], None] = lambda outcome: None
        self.models: tuple[ListedModel, ...] = ()
        self.trouble = ""  # why there is no list
        self.action = ""  # what is under way
        self.modelId = ""
        self._environment = environment
        self._packageFolder = packageFolder
        self._proxy = proxy
        self._run: Optional[CommandRun] = None
        self._end: dict[str, Any] = {}

    @property
    def isBusy(self) -> bool:
        """With something that a person asked for."""
        return bool(self.action) and self.action != LIST

    def refresh(self) -> None:
        if not self.action:
            self._start(LIST, "", [LIST, "--json"])

    def download(self, model: ListedModel, mirror: str) -> None:
        """Whoever calls this has shown the licence, and the person has agreed to it."""
        arguments = [DOWNLOAD, model.id, "--json", "--accept-licence"]
        self._start(DOWNLOAD, model.id, arguments + (["--mirror", mirror] if mirror else []))

    def verify(self, modelId: str) -> None:
        self._start(VERIFY, modelId, [VERIFY, modelId, "--json"])

    def remove(self, modelId: str) -> None:
        self._start(REMOVE, modelId, [REMOVE, modelId, "--json"])

    def recognise(self, path: str, imageSize: int = 0) -> None:
        self._start(RECOGNISE, "", [RECOGNISE, path, "--json", "--image-size", str(imageSize)])

    def add(self, own: OwnModel) -> None:
        arguments = [ADD, own.path, "--json", "--image-size", str(own.imageSize)]
        for option, value in (("--id", own.modelId), ("--title", own.title), ("--base", own.base)):
            arguments += [option, value] if value else []
        self._start(ADD, own.modelId, arguments)

    def cancel(self) -> None:
        """End what is going on, at once."""
        if self.action:
            hasChanged = self.action in _CHANGING
            self.stop()
            self.onChanged()
            if hasChanged:
                self.refresh()

    def stop(self) -> None:
        """As `cancel`, but without a word: the module is about to go."""
        run, self._run = self._run, None
        self.action = self.modelId = ""
        if run is not None:
            run.abandon()

    # ---- private

    def _start(self, action: str, modelId: str, arguments: list[str]) -> None:
        """The list makes way for whatever a person asks for; anything else has to end first."""
        if self.isBusy:
            return
        self.stop()
        try:
            python = self._environment.python()
        except EngineNotInstalled as error:
            self._finish(action, modelId, CommandEnd(-1, "", f"{ENGINE_SIGN}{error}"))
            return
        self.action, self.modelId, self._end = action, modelId, {}
        self._run = CommandRun(self.onLine, self.onCommandEnded)
        environment = withProxy(cleanEnvironment(self._packageFolder), normalizedProxy(self._proxy()))
        command = Attempt(python, ("-u", "-m", "medsam2_engine", "models", *arguments), environment)
        self._run.start(command, str(self._packageFolder))
        self.onChanged()

    def onLine(self, line: str) -> None:
        said = None if self.action == LIST else toldBy(line)
        if said is None:
            return
        if "end" in said:
            self._end = said
        elif "done" in said:
            self.onProgress(int(said["done"]), int(said.get("total", 0)))

    def onCommandEnded(self, end: CommandEnd) -> None:
        action, modelId = self.action, self.modelId
        self._run, self.action, self.modelId = None, "", ""
        self._finish(action, modelId, end)

    def _finish(self, action: str, modelId: str, end: CommandEnd) -> None:
        if action == LIST:
            self._takeList(end)
            return
        hasSucceeded = end.hasSucceeded and bool(self._end)
        facts = self._end if hasSucceeded else {}
        sentence = "" if hasSucceeded else _whyNot(end)
        self.onEnded(ModelOutcome(action, modelId, hasSucceeded, facts, sentence))
        self.onChanged()
        if action in _CHANGING:
            self.refresh()

    def _takeList(self, end: CommandEnd) -> None:
        found = listedModels(end.output) if end.hasSucceeded else None
        self.trouble = "" if found else _whyNot(end)
        self.models = found or self.models
        self.onChanged()


def _whyNot(end: CommandEnd) -> str:
    """The command's own sentence, or what is known of its end without one."""
    if end.sentence:
        return withoutCommands(end.sentence)
    why = end.lastLine or _("it wrote nothing")
    return _("The engine's Python could not do it ({why}). Press Check in the section Engine.").format(why=why)
