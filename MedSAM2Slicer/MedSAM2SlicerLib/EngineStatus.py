"""One line that says what the engine is doing, in the user's words."""

from __future__ import annotations

from slicer.i18n import tr as _

from MedSAM2SlicerLib.EngineLists import AUTOMATIC
from MedSAM2SlicerLib.EngineProcess import STARTING, STOPPED
from MedSAM2SlicerLib.Environment import EngineNotInstalled


def engineStatus(engine, isComputing: bool, device: str, isAboutToStart: bool) -> str:
    """`device` is the id chosen in the panel. `isAboutToStart`: it will be started in a moment, unasked."""
    if engine.state == STOPPED:
        return _stopped(engine, isAboutToStart)
    if engine.state == STARTING:
        return _("Engine: restarting…") if engine.trouble else _("Engine: starting…")
    where = _deviceName(engine.hello, device)
    if isComputing:
        return _("Engine: computing on {device}.").format(device=where)
    if engine.trouble:
        return _("Engine: ready on {device} again. {trouble}").format(device=where, trouble=engine.trouble)
    return _("Engine: ready on {device}.").format(device=where)


def _stopped(engine, isAboutToStart: bool) -> str:
    try:
        engine.environment.command()
    except EngineNotInstalled as error:
        return _("Engine: not ready. {why}").format(why=error)
    if engine.trouble:
        return _("Engine: {trouble}").format(trouble=engine.trouble)
    return _("Engine: starting…") if isAboutToStart else _("Engine: installed; it starts with the next tool or prompt.")


def _deviceName(hello, device: str) -> str:
    """The engine lists what it would take by itself right after "auto"."""
    usable = [one for one in hello.devices if one.id != AUTOMATIC]
    chosen = [one for one in usable if one.id == device] or usable
    return chosen[0].title if chosen else _("an unknown device")
