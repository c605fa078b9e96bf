"""What uv, pip and the systems write when something fails, and what the user is told."""

from __future__ import annotations

import pytest

# (phase, is offline, what was written, code, a part of the sentence). The texts are real output, shortened.
CASES = [
    (
        "packages",
        False,
        ("error: Failed to download `numpy==2.4.6`\n  cause: No space left on device (os error 28)"),
        "disk_full",
        "Make room",
    ),
    (
        "packages",
        False,
        ("cause: There is not enough space on the disk. (os error 112)"),
        "disk_full",
        "Make room",
    ),
    (
        "uv",
        False,
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"),
        "disk_full",
        "Make room",
    ),
    (
        "packages",
        False,
        (
            "cause: Operation did not complete successfully because the file contains a virus or "
            "potentially unwanted software. (os error 225)"
        ),
        "blocked",
        "virus scanner",
    ),
    (
        "packages",
        False,
        ("cause: invalid peer certificate: UnknownIssuer"),
        "bad_certificate",
        "SSL_CERT_FILE",
    ),
    (
        "uv",
        False,
        (
            "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]'))\n"
            "ERROR: No matching distribution found for uv==0.13.8"
        ),
        "bad_certificate",
        "certificate",
    ),
    (
        "packages",
        False,
        ("cause: tunnel error: unsuccessful\n 407 Proxy Authentication Required"),
        "proxy_refused",
        "name and password",
    ),
    (
        "packages",
        False,
        (
            "error: Request failed after 1 retry in 1.6s\n"
            "  cause: Failed to fetch: https://pypi.org/simple/\n"
            "  cause: tunnel error: failed to create underlying connection\n"
            "  cause: Connection refused (os error 111)"
        ),
        "proxy_unreachable",
        "proxy does not answer",
    ),
    (
        "packages",
        False,
        ("cause: failed to open file `x`: Permission denied (os error 13)"),
        "no_permission",
        "Choose another",
    ),
    (
        "packages",
        False,
        ("cause: Access is denied. (os error 5)"),
        "no_permission",
        "Choose another",
    ),
    (
        "packages",
        False,
        (
            "error: Request failed after 3 retries\n"
            "  cause: Failed to fetch: https://download.pytorch.org/whl/cpu/torch/\n"
            "  cause: dns error"
        ),
        "no_network",
        "As the package index has it",
    ),
    (
        "packages",
        False,
        ("error: Failed to fetch: `https://me:secret@mirror.hospital/simple/`\n  cause: operation timed out"),
        "no_network",
        "mirror.hospital could not be reached",
    ),
    (
        "uv",
        False,
        (
            "WARNING: Retrying (Retry(total=1)) after connection broken by 'NewConnectionError(...)': "
            "/simple/uv/\n"
            "ERROR: No matching distribution found for uv==0.13.8"
        ),
        "no_network",
        "could not be reached",
    ),
    (
        "python",
        False,
        (
            "cause: Failed to download `https://github.com/x.tar.gz`\n"
            "  cause: dns error\n"
            "error: No interpreter found for Python >=3.10, <3.14 in search path"
        ),
        "no_python",
        "python.org",
    ),
    (
        "python",
        True,
        ("error: No interpreter found for Python 3.11 in search path"),
        "no_python",
        "is for Python 3.11",
    ),
    (
        "packages",
        True,
        ("cause: Because safetensors==0.8.0 has no wheels with a matching platform tag and you require"),
        "wheels_missing",
        "no safetensors for this system",
    ),
    (
        "packages",
        True,
        ("cause: Because numpy was not found in the provided package locations"),
        "wheels_missing",
        "no numpy",
    ),
    (
        "packages",
        True,
        ("error: Failed to read `--find-links` directory: nowhere\n  cause: No such file"),
        "wheels_missing",
        "Fill it",
    ),
    (
        "packages",
        True,
        ("cause: Because safetensors==0.8.0 has an invalid package format and you require"),
        "damaged_wheel",
        "(safetensors)",
    ),
    (
        "packages",
        False,
        ("cause: Because torch>=2.5.0,<=2.13.0 has no wheels with a matching platform tag (e.g., `win_arm64`)"),
        "unsupported_platform",
        "no torch for this system",
    ),
    (
        "packages",
        False,
        ("error: something new\n  cause: deep"),
        "unknown",
        "failed: error: something new.",
    ),
]


@pytest.mark.parametrize(("phase", "offline", "text", "code", "says"), CASES, ids=lambda value: str(value)[:20])
def test_real_messages_become_sentences_that_say_what_to_do(app, phase, offline, text, code, says):
    from MedSAM2SlicerLib.InstallErrors import FailedCommand, diagnose

    trouble = diagnose(FailedCommand(phase, "uv", text, isOffline=offline))
    assert (trouble.code, says in trouble.sentence) == (code, True), trouble.sentence
    assert "secret" not in trouble.sentence


def test_a_program_that_cannot_start_was_blocked(app):
    from MedSAM2SlicerLib.InstallErrors import FailedCommand, diagnose

    trouble = diagnose(FailedCommand("python", "uv.exe", "Access is denied", couldNotStart=True))
    assert trouble.code == "blocked"
    assert trouble.sentence.startswith("uv.exe could not run")
