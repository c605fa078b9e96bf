"""What can be done about a run that failed, as a button beside its sentence. The prompts stay as they are."""

from __future__ import annotations

from typing import Callable, Optional

from slicer.i18n import tr as _

from medsam2_protocol.messages import Failed
from MedSAM2SlicerLib.EngineLists import AUTOMATIC, EMBEDDED, EngineLists
from MedSAM2SlicerLib.ModelChoice import ModelChoice
from MedSAM2SlicerLib.Remedy import Remedy

CPU = "cpu"
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
            return self._smallerModel(again) or self._cpu(again)
        if failed.code == "no_such_model":
            return self._smallerModel(again)
        if failed.code == "no_such_device":
            return self._otherDevice(AUTOMATIC, _("Let the engine choose the device"), again)
        if failed.code == "internal":
            return Remedy(_("Copy the engine's log"), self._copyLog)
        return None

    def _ofEngine(self) -> Remedy:
        if self._isUsable():
            return Remedy(_("Check the engine"), self._check)
        return Remedy(_("Install the engine…"), self._install)

    def _smallerModel(self, again: Action) -> Optional[Remedy]:
        """The embedded model is the smallest of all, and always there."""
        if self._choice.model == EMBEDDED or not self._lists.isInstalled(EMBEDDED):
            return None

        def act() -> None:
            self._choice.choose(EMBEDDED)
            again()

        return Remedy(_("Use the embedded model"), act, _("The smallest model. The prompts are kept."))

    def _cpu(self, again: Action) -> Optional[Remedy]:
        return self._otherDevice(CPU, _("Use the CPU"), again)

    def _otherDevice(self, device: str, title: str, again: Action) -> Optional[Remedy]:
        """For devices that every engine has, also one that failed before it could list them."""
        if self._choice.device == device:
            return None

        def act() -> None:
            self._choice.chooseDevice(device)
            again()

        return Remedy(title, act, _("The prompts are kept."))
