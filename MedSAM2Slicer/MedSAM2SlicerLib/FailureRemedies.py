"""What can be done about a run that failed, as a button beside its sentence. The prompts stay as they are.

Where memory runs out, the engine has tried the CPU after a GPU by itself, so only a smaller model is another attempt.
"""

from __future__ import annotations

from typing import Callable, Optional

from slicer.i18n import tr as _

from medsam2_protocol.messages import Failed, ModelInfo
from MedSAM2SlicerLib.EngineLists import AUTOMATIC, EMBEDDED, EngineLists, shortTitle
from MedSAM2SlicerLib.ModelChoice import ModelChoice
from MedSAM2SlicerLib.Remedy import Remedy

Action = Callable[[], None]


class FailureRemedies:
    """`isUsable()`: there is a Python for the engine. `install`, `check` and `copyLog` are what the panel's section
    Engine can do; they show it as well.
    """

    def __init__(
        self,
        choice: ModelChoice,
        lists: EngineLists,
        isUsable: Callable[[], bool],
        install: Action,
        check: Action,
        copyLog: Action,
    ) -> None:
        self._choice = choice
        self._lists = lists
        self._isUsable = isUsable
        self._install = install
        self._check = check
        self._copyLog = copyLog

    def remedyFor(self, failed: Failed, again: Action) -> Optional[Remedy]:
        """`again` asks the same once more. None where only the person knows what to do."""
        if failed.code == "not_started":
            return self._ofEngine()
        if failed.code == "protocol_mismatch":
            return Remedy(_("Repair the engine…"), self._install)
        if failed.code in ("worker_died", "worker_stuck"):
            return Remedy(_("Try again"), again)
        if failed.code == "out_of_memory":
            return self._model(self._lists.smaller(self._choice.model), again) or Remedy(_("Try again"), again)
        if failed.code == "no_such_model":
            return self._model(self._lists.model(EMBEDDED), again)
        if failed.code == "no_such_device":
            return self._otherDevice(AUTOMATIC, _("Let the engine choose the device"), again)
        if failed.code == "internal":
            return Remedy(_("Copy the engine's log"), self._copyLog)
        return None

    def _ofEngine(self) -> Remedy:
        if self._isUsable():
            return Remedy(_("Check the engine"), self._check)
        return Remedy(_("Install the engine…"), self._install)

    def _model(self, model: Optional[ModelInfo], again: Action) -> Optional[Remedy]:
        """None where that model is not to be had, or is the one that is used."""
        if model is None or not model.installed or model.id == self._choice.model:
            return None

        def act() -> None:
            self._choice.choose(model.id)
            again()

        if model.id == EMBEDDED:
            return Remedy(_("Use the embedded model"), act, _("The smallest model. The prompts are kept."))
        title = _("Use {model}").format(model=shortTitle(model.title))
        return Remedy(title, act, _("It needs less memory. The prompts are kept."))

    def _otherDevice(self, device: str, title: str, again: Action) -> Optional[Remedy]:
        """For a device that every engine has, also one that failed before it could list them."""
        if self._choice.device == device:
            return None

        def act() -> None:
            self._choice.chooseDevice(device)
            again()

        return Remedy(title, act, _("The prompts are kept."))
