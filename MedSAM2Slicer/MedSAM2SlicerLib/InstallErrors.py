"""Why an installation failed, as a sentence that says what to do next, read from what uv, pip and Python wrote.

The signs were taken from real output of uv 0.13 and pip; the system's error numbers are the same in every language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from slicer.i18n import tr as _

from MedSAM2SlicerLib.InstallPlan import CHECK, FETCH_PACKAGES, FETCH_UV, MAKE_PYTHON


@dataclass(frozen=True)
class Trouble:
    """`code` is for programs and tests, `sentence` for the user."""

    code: str
    sentence: str


@dataclass(frozen=True)
class FailedCommand:
    """What is known of a command that did not succeed. `text` is all that the attempts of its phase wrote."""

    phase: str
    program: str
    text: str
    isOffline: bool = False
    couldNotStart: bool = False
    hasCrashed: bool = False


# In this order: a full disk or a virus scanner also causes what looks like other trouble further down.
_SIGNS = (
    (
        "disk_full",
        r"No space left on device|not enough space on the disk|os error (28|112|122)\b|Errno 28|quota exceeded",
    ),
    ("blocked", r"os error (225|1260)\b|contains a virus|WinError (225|1260)|blocked by (group|your) policy"),
    ("bad_certificate", r"invalid peer certificate|CERTIFICATE_VERIFY_FAILED|certificate verify failed|UnknownIssuer"),
    (
        "proxy_refused",
        r"407 Proxy Auth|Proxy Authentication Required|proxy authorization required|tunnel error: unsuccess",
    ),
    ("proxy_unreachable", r"tunnel error|ProxyError|Cannot connect to proxy|proxy connect"),
    ("no_permission", r"Permission denied|Access is denied|Read-only file system|os error (5|13|30)\b|WinError 5\b"),
    (
        "no_network",
        r"dns error|error sending request|NewConnectionError|ConnectTimeout|ReadTimeout|Name or service not known"
        r"|getaddrinfo failed|Network is unreachable|operation timed out|connection (reset|closed)|Request failed after"
        r"|HTTP status (client|server) error|network was disabled",
    ),
)


def diagnose(failed: FailedCommand) -> Trouble:
    code = _codeOf(failed)
    sentence = _sentence(code, failed)
    if code == "no_network" and _hostIn(failed.text) == "download.pytorch.org":
        sentence += " " + _(
            "If only this server is blocked, choose PyTorch “As the package index has it” under Options."
        )
    return Trouble(code, sentence)


def _codeOf(failed: FailedCommand) -> str:
    if failed.couldNotStart:
        return "blocked"
    for code, sign in _SIGNS:
        if _says(sign, failed.text) and not (failed.isOffline and code == "no_network"):
            return "no_python" if failed.phase == MAKE_PYTHON and code == "no_network" else code
    if failed.phase == MAKE_PYTHON and _says(r"No interpreter found|No download found", failed.text):
        return "no_python"
    if _says(r"invalid package format|Failed to read from zip|BadZipFile|Failed to extract", failed.text):
        return "damaged_wheel"
    missing = _says(r"was not found in|No matching distribution|--find-links. directory|no wheels with", failed.text)
    if missing and failed.isOffline:
        return "wheels_missing"
    if failed.phase in (FETCH_UV, FETCH_PACKAGES) and missing:
        return "unsupported_platform"
    if failed.hasCrashed:
        return "blocked"
    return "check_failed" if failed.phase == CHECK else "unknown"


def _sentence(code: str, failed: FailedCommand) -> str:
    again = _("Then try again: what was downloaded completely is used again.")
    sentences = {
        "disk_full": _("The disk is full. Make room, or choose another folder under Options.") + " " + again,
        "blocked": _(
            "{program} could not run: a virus scanner or a policy of this computer may have stopped it. Ask for an "
            "exception for the engine's folder."
        ).format(program=failed.program)
        + " "
        + again,
        "bad_certificate": _(
            "The network replaces certificates with its own, and that certificate is not trusted here. Ask your IT to "
            "add it to the system's certificates, set SSL_CERT_FILE to it, or install from a wheel folder."
        ),
        "proxy_refused": _("The proxy refused: it wants a name and password, as in http://name:password@server:port.")
        + " "
        + again,
        "proxy_unreachable": _("The proxy does not answer. Correct it under Options.") + " " + again,
        "no_permission": _("The folder may not be written to. Choose another one under Options.") + " " + again,
        "no_network": _(
            "{host} could not be reached. Check the network or set a proxy under Options; without a network, install "
            "from a wheel folder."
        ).format(host=_hostIn(failed.text))
        + " "
        + again,
        "no_python": _noPython(_wantedPython(failed.text)),
        "damaged_wheel": _("A package arrived damaged ({package}). Press Remove, then Install.").format(
            package=_packageIn(failed.text)
        ),
        "wheels_missing": _(
            "The wheel folder has no {package} for this system and Python. Fill it on a computer of the same kind, or "
            "clear the field to download."
        ).format(package=_packageIn(failed.text)),
        "unsupported_platform": _(
            "There is no {package} for this system. Choose another PyTorch under Options, or use an existing Python."
        ).format(package=_packageIn(failed.text)),
        "check_failed": _("The installed engine does not run. Press Repair; the log says more."),
        "unknown": _("The installation failed: {why}. Try again; the log says more.").format(
            why=_lastError(failed.text)
        ),
    }
    return sentences[code]


def _says(sign: str, text: str) -> bool:
    return re.search(sign, text, re.I) is not None


def _hostIn(text: str) -> str:
    found = re.findall(r"https?://(?:[^/@\s]*@)?([\w.-]+)", text)
    return found[-1] if found else _("The package server")


def _packageIn(text: str) -> str:
    for sign in (
        r"Because ([\w.-]+?)(?:[=<>!][\S]*)? (?:was not found|has no wheels|has an invalid)",
        r"No matching distribution found for ([\w.-]+?)(?:[=<>]|\s|$)",
        r"Failed to (?:download|extract archive:) `?([\w.-]+?)(?:[=`-]|$)",
    ):
        found = re.search(sign, text)
        if found:
            return found.group(1)
    return _("package")


def _wantedPython(text: str) -> str:
    found = re.search(r"No interpreter found for Python (3\.\d+) ", text)
    return found.group(1) if found else ""


def _noPython(wanted: str) -> str:
    """`wanted`: the version that the wheel folder is for, or "" without one."""
    if wanted:
        text = _(
            "No Python for the engine could be downloaded, and none from 3.10 to 3.13 was found on this computer (the "
            "wheel folder is for Python {version}). Check the network, or install Python from python.org, and try "
            "again."
        )
        return text.format(version=wanted)
    return _(
        "No Python for the engine could be downloaded, and none from 3.10 to 3.13 was found on this computer. Check "
        "the network, or install Python from python.org, and try again."
    )


def _lastError(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = [line for line in lines if line.lower().startswith("error")][:1]
    errors = first or [line for line in lines if "error" in line.lower()][-1:] or lines[-1:]
    return errors[0].rstrip(".") if errors else _("it wrote nothing")
