"""What an installation would do, before anything of it is done: pure Python, no process."""

from __future__ import annotations

from pathlib import Path

import pytest

MODULE_FOLDER = Path(__file__).resolve().parents[4] / "MedSAM2Slicer"


@pytest.fixture
def plan_for(computer):
    """``plan_for(system="linux", ..., backend="auto", ...)``: facts of the machine and options of the user."""
    from MedSAM2SlicerLib.InstallPlan import InstallOptions, InstallPlan, engineFolderFor

    def plan(**facts_and_options):
        names = set(InstallOptions.__dataclass_fields__)
        options = InstallOptions(**{name: facts_and_options.pop(name) for name in names & set(facts_and_options)})
        computer.be(**facts_and_options)
        machine = computer.describe()
        return InstallPlan(machine, options, engineFolderFor(machine, options, "1.2.3"), MODULE_FOLDER)

    return plan


@pytest.fixture
def text_for(plan_for):
    from MedSAM2SlicerLib.InstallText import installText

    return lambda **facts_and_options: "\n".join(installText(plan_for(**facts_and_options)).lines)


def attempts(plan, phase, uv_on_path=None):
    (found,) = [one for one in plan.phases(uv_on_path) if one.name == phase]
    return [" ".join([attempt.program, *attempt.arguments]) for attempt in found.attempts]


# ---- what the user agrees to


def test_the_text_says_what_how_large_which_licence_and_where_to(text_for, computer):
    text = text_for()
    for part in ("PyTorch for the CPU", "400 MB to download", "1.5 GB on the disk", "BSD-3-Clause", "Apache-2.0"):
        assert part in text
    assert str(computer.folder / "data" / "MedSAM2Slicer" / "engine") in text
    assert "No image" in text


def test_a_gpu_machine_is_told_of_the_size_and_licence_of_cuda(text_for):
    text = text_for(hasNvidia=True)
    for part in ("PyTorch for the NVIDIA GPU of this computer", "3.0 GB to download", "NVIDIA's licence"):
        assert part in text


def test_an_offline_installation_says_that_nothing_is_downloaded(text_for):
    text = text_for(wheelFolder="wheels")
    assert "nothing is downloaded" in text
    assert "From: wheels." in text


def test_a_server_that_is_not_asked_is_not_named(text_for):
    assert "pytorch.org" not in text_for(backend="index")
    assert "pytorch.org" not in text_for(backend="cpu", system="win32")


def test_a_package_index_of_ones_own_is_named_instead_of_pypi(text_for, computer):
    computer.set_variables(PIP_INDEX_URL="https://packages.hospital/simple")
    text = text_for()
    assert "the package index set up on this computer" in text
    assert "pypi.org" not in text


def test_the_proxy_is_named(text_for):
    assert "through http://proxy:8080" in text_for(proxy="proxy:8080")


# ---- the command lines


def test_pytorch_is_fetched_for_what_is_in_the_machine(plan_for):
    assert attempts(plan_for(), "packages")[0].endswith("--torch-backend cpu")
    assert attempts(plan_for(hasNvidia=True), "packages")[0].endswith("--torch-backend auto")


@pytest.mark.parametrize("backend", ["cpu", "cu128", "cu126"])
def test_an_explicit_choice_of_pytorch_wins(plan_for, backend):
    assert attempts(plan_for(hasNvidia=True, backend=backend), "packages")[0].endswith(f"--torch-backend {backend}")


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_windows_and_mac_take_the_cpu_build_of_the_ordinary_index(plan_for, system):
    assert "--torch-backend" not in attempts(plan_for(system=system), "packages")[0]


def test_the_packages_are_those_of_the_requirements_file(plan_for):
    requirements = MODULE_FOLDER / "Resources" / "engine-requirements.txt"
    assert f"--requirement {requirements}" in attempts(plan_for(), "packages")[0]
    assert "torch>=2.5,<2.14" in requirements.read_text()


def test_no_package_is_ever_compiled(plan_for):
    assert "--only-binary :all:" in attempts(plan_for(), "packages")[0]
    assert "--only-binary=:all:" in attempts(plan_for(), "uv")[-1]


def test_uv_is_asked_first_and_fetched_last(plan_for):
    asked, fetched = attempts(plan_for(), "uv", "/usr/bin/uv")
    assert asked == "/usr/bin/uv --version"
    assert "pip install" in fetched
    assert "uv==0.13.8" in fetched


def test_a_managed_python_comes_before_one_of_the_system(plan_for):
    managed, present = attempts(plan_for(), "python")
    assert "--managed-python --python 3.12" in managed
    assert "--no-python-downloads --python >=3.10,<3.14" in present


def test_an_intel_slicer_on_an_apple_processor_gets_an_apple_environment(plan_for):
    plan = plan_for(system="darwin", architecture="arm64", isTranslated=True)
    (fetched,) = attempts(plan, "uv", "/usr/local/bin/uv")
    assert "--platform macosx_11_0_arm64" in fetched


def test_on_windows_the_interpreter_and_uv_have_their_windows_names(plan_for):
    plan = plan_for(system="win32")
    assert plan.folder.python.parts[-2:] == ("Scripts", "python.exe")
    assert plan.phases(None)[0].attempts[-1].uv.endswith("uv.exe")


@pytest.mark.parametrize(
    ("wheels", "version"),
    [
        (["torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl", "numpy-2.0-cp312-cp312-win32.whl"], "3.11"),
        (["torch-2.13.0-cp312-none-macosx_14_0_arm64.whl"], ""),
        (["torch-2.13.0-cp311-cp311-win_amd64.whl", "torch-2.13.0-cp312-cp312-win_amd64.whl"], ""),
        ([], ""),
    ],
)
def test_the_python_is_the_one_the_wheels_are_for(computer, wheels, version):
    from MedSAM2SlicerLib.InstallPlan import pythonOfWheels

    for name in wheels:
        (computer.folder / name).touch()
    assert pythonOfWheels(str(computer.folder)) == version


# ---- the environments


def test_settings_for_pip_are_told_to_uv(plan_for, computer):
    computer.set_variables(PIP_INDEX_URL="https://a/simple", PIP_FIND_LINKS="/w1 /w2", PIP_CERT="/ca.pem")
    environment = plan_for().phases(None)[2].attempts[0].environment
    assert environment["UV_DEFAULT_INDEX"] == "https://a/simple"
    assert environment["UV_FIND_LINKS"] == "/w1,/w2"
    assert environment["SSL_CERT_FILE"] == "/ca.pem"


def test_settings_for_uv_itself_win(plan_for, computer):
    computer.set_variables(PIP_INDEX_URL="https://a/simple", UV_DEFAULT_INDEX="https://b/simple")
    assert plan_for().phases(None)[2].attempts[0].environment["UV_DEFAULT_INDEX"] == "https://b/simple"


def test_a_certificate_of_the_users_is_kept(plan_for, computer):
    computer.set_variables(SSL_CERT_FILE="/etc/hospital.pem")
    environments = [attempt.environment for phase in plan_for().phases(None) for attempt in phase.attempts]
    assert {environment["SSL_CERT_FILE"] for environment in environments} == {"/etc/hospital.pem"}
    assert environments[0]["PIP_CERT"] == "/etc/hospital.pem"


def test_pip_settings_that_would_misplace_uv_are_dropped(plan_for, computer):
    computer.set_variables(PIP_USER="1", PIP_REQUIRE_VIRTUALENV="1")
    environment = plan_for().phases(None)[0].attempts[-1].environment
    assert {"PIP_USER", "PIP_REQUIRE_VIRTUALENV"} & set(environment) == set()


def test_slicers_folders_are_taken_off_the_path(computer):
    from MedSAM2SlicerLib.ChildEnvironment import withoutSlicer

    path = withoutSlicer({"PATH": "/s/Slicer/bin:/usr/bin:/s/Slicer-old/bin"}, "/s/Slicer")["PATH"]
    assert path == "/usr/bin:/s/Slicer-old/bin"


# ---- progress


@pytest.fixture
def progress(app):
    from MedSAM2SlicerLib.InstallProgress import InstallProgress

    progress = InstallProgress(1_000_000_000)
    progress.startPhase("packages", "Getting PyTorch", 50_000_000_000)
    return progress


def test_what_is_downloaded_moves_the_bar(progress):
    for line in ("Resolved 3 packages in 1ms", "Downloading torch (100.0MiB)", "Downloading numpy (100.0MiB)"):
        progress.onLine(line)
    before = progress.fraction
    progress.onLine(" Downloaded numpy")
    assert progress.fraction > before + 0.3
    assert progress.text == "Downloading torch (105 MB)…"


def test_the_filling_disk_moves_the_bar_while_uv_is_silent(progress):
    progress.onLine("Downloading torch (2.5GiB)")
    before = progress.fraction
    progress.onDisk(49_500_000_000)
    assert progress.fraction > before + 0.3
    assert progress.text == "Downloading torch (2684 MB); 500 MB written…"


def test_the_bar_never_goes_back(progress):
    progress.onLine("Prepared 3 packages in 1s")
    before = progress.fraction
    progress.onDisk(60_000_000_000)
    progress.onLine("Downloading torch (1.0GiB)")
    assert progress.fraction == before


def test_pips_way_of_announcing_is_understood(app):
    from MedSAM2SlicerLib.InstallProgress import InstallProgress

    progress = InstallProgress(1)
    progress.startPhase("uv", "Getting uv", 0)
    progress.onLine("  Downloading uv-0.13.8-py3-none-win_amd64.whl (17.4 MB)")
    assert progress.text == "Downloading uv-0.13.8-py3-none-win_amd64.whl (17 MB)…"
