"""Environment variables for the processes an installation starts.

uv and the engine's Python get what Slicer itself was started with, without anything that leads into Slicer or into
another environment. Slicer's own Python gets what Slicer's launcher made, for it would not start without it. What a
person set up for packages (mirrors, certificates, a proxy) is kept, and what was set up for pip is told to uv as well.
"""

from __future__ import annotations

import os
from pathlib import Path

from MedSAM2SlicerLib.EngineFolder import EngineFolder
from MedSAM2SlicerLib.HostMachine import LINUX, HostMachine

_MISLEADING = {
    *("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONUSERBASE", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LD_PRELOAD"),
    *("UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_PROJECT_ENVIRONMENT", "UV_TARGET", "UV_PREFIX", "UV_WORKING_DIR"),
    *("UV_MANAGED_PYTHON", "UV_NO_MANAGED_PYTHON", "UV_PYTHON_PREFERENCE", "UV_PYTHON_DOWNLOADS", "UV_TORCH_BACKEND"),
    *("UV_CONSTRAINT", "UV_OVERRIDE", "UV_REQUIRE_HASHES", "UV_NO_CACHE", "UV_EXCLUDE_NEWER", "UV_RESOLUTION"),
    *("PIP_TARGET", "PIP_USER", "PIP_PREFIX", "PIP_ROOT", "PIP_CONSTRAINT", "PIP_REQUIRE_VIRTUALENV"),
}
_MISLEADING_PREFIXES = ("QT_", "DYLD_", "CONDA_", "APPLAUNCHER_", "UV_VENV_")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
# Without one of these, telling uv to trust the system's certificates would leave it with none.
_LINUX_CERTIFICATE_STORES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def withoutSlicer(startup: dict[str, str], slicerHome: str) -> dict[str, str]:
    """The environment Slicer was started in, fit for a program that has nothing to do with Slicer."""
    kept = {name: value for name, value in startup.items() if not _misleads(name)}
    for name in _CERTIFICATES:
        if _isInside(kept.get(name, ""), slicerHome):
            del kept[name]
    for name in [name for name in kept if name.upper() == "PATH"]:
        folders = [folder for folder in kept[name].split(os.pathsep) if not _isInside(folder, slicerHome)]
        kept[name] = os.pathsep.join(folders)
    return kept


def uvEnvironment(machine: HostMachine, folder: EngineFolder, proxy: str, wheelFolder: str) -> dict[str, str]:
    """For uv. Everything it fetches or remembers stays in `folder`."""
    environment = withProxy(withoutSlicer(machine.startup, machine.slicerHome), proxy)
    _tellUvOfPip(environment)
    if wheelFolder:
        for name in ("UV_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"):
            environment.pop(name, None)
    environment["UV_CACHE_DIR"] = str(folder.root / "cache")
    environment["UV_PYTHON_INSTALL_DIR"] = str(folder.root / "python")
    # No commands on the user's PATH and no entries in the registry of Windows.
    environment["UV_PYTHON_INSTALL_BIN"] = environment["UV_PYTHON_INSTALL_REGISTRY"] = "0"
    environment["NO_COLOR"] = "1"
    environment.setdefault("UV_HTTP_TIMEOUT", "120")
    if machine.system == LINUX:
        # Where files cannot be cloned uv would copy them, and the cache would double what the disk has to hold.
        environment.setdefault("UV_LINK_MODE", "hardlink")
    if machine.system != LINUX or any(os.path.exists(store) for store in _LINUX_CERTIFICATE_STORES):
        # A hospital that looks into TLS puts its certificate there. The second name is that of older versions.
        environment.setdefault("UV_SYSTEM_CERTS", "1")
        environment.setdefault("UV_NATIVE_TLS", "1")
    return environment


def slicerPythonEnvironment(machine: HostMachine, proxy: str) -> dict[str, str]:
    """For Slicer's own Python and its pip."""
    environment = {name: value for name, value in machine.own.items() if not name.upper().startswith("UV_")}
    for name in [name for name in environment if name.upper().startswith("PIP_") and _misleads(name)]:
        del environment[name]
    certificates = environment.get("SSL_CERT_FILE", "")
    if certificates and not _isInside(certificates, machine.slicerHome):
        environment.setdefault("PIP_CERT", certificates)
    return withProxy(environment, proxy)


def engineEnvironment(machine: HostMachine, packageFolder: Path) -> dict[str, str]:
    """For the engine's own Python, which finds the engine in `packageFolder`."""
    environment = withoutSlicer(machine.startup, machine.slicerHome)
    environment["PYTHONPATH"] = str(packageFolder)
    environment["PYTHONNOUSERSITE"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8"
    return environment


def withProxy(environment: dict[str, str], proxy: str) -> dict[str, str]:
    """`proxy` for every kind of address; an empty one leaves everything as it is."""
    if not proxy:
        return environment
    kept = {name: value for name, value in environment.items() if name.upper() not in _PROXIES}
    return {**kept, **dict.fromkeys(_PROXIES, proxy)}


def _tellUvOfPip(environment: dict[str, str]) -> None:
    """pip's variables in uv's names, unless uv has been told itself."""
    settings = {name.upper(): value for name, value in environment.items()}
    for pipName, uvName in (("PIP_INDEX_URL", "UV_DEFAULT_INDEX"), ("PIP_EXTRA_INDEX_URL", "UV_INDEX")):
        if settings.get(pipName) and "UV_INDEX_URL" not in settings and uvName not in settings:
            environment[uvName] = settings[pipName]
    if settings.get("PIP_FIND_LINKS") and "UV_FIND_LINKS" not in settings:
        environment["UV_FIND_LINKS"] = ",".join(settings["PIP_FIND_LINKS"].split())
    if settings.get("PIP_CERT") and "SSL_CERT_FILE" not in settings:
        environment["SSL_CERT_FILE"] = settings["PIP_CERT"]


def _misleads(variable: str) -> bool:
    return variable.upper() in _MISLEADING or variable.upper().startswith(_MISLEADING_PREFIXES)


def _isInside(path: str, folder: str) -> bool:
    if not path or not folder:
        return False
    inner, outer = os.path.normcase(os.path.abspath(path)), os.path.normcase(os.path.abspath(folder))
    return inner == outer or inner.startswith(outer.rstrip(os.sep) + os.sep)
