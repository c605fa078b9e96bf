"""Improving a model on approved lesions, as a person does it: add what the scene has, look, start, stop, go on, use.

What is exported is read by the engine's own reader. Most trainings are an imitation that speaks the same lines
(`fake_training`); one is real, with the model that ships.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

MODULE_FOLDER = Path(__file__).resolve().parents[4] / "MedSAM2Slicer"
BUTTONS = ("add", "improve", "goOn", "cancel", "use", "report", "parts", "agree", "decline")
TILTED = np.array([[0.96, -0.28, 0, 0], [0.28, 0.96, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
OBLIQUE = (
    np.array([[1, 0, 0, 5], [0, 0.8, -0.6, -30], [0, 0.6, 0.8, 12], [0, 0, 0, 1]]) @ TILTED @ np.diag([0.8, 0.8, 3, 1])
)


@pytest.fixture
def desk(app, scene, tmp_path, wait_until, monkeypatch, no_process_left):
    """The panel over a folder of its own and an imitated training; afterwards no setting and no process is left."""
    package = tmp_path / "extension" / "MedSAM2Slicer"
    (package / "medsam2_engine").mkdir(parents=True)
    (package / "medsam2_engine" / "__init__.py").touch()
    shutil.copyfile(Path(__file__).with_name("fake_training.py"), package / "medsam2_engine" / "__main__.py")
    monkeypatch.setenv("MEDSAM2_ENGINE_PYTHON", sys.executable)
    desk = Desk(tmp_path, package, wait_until)
    desk.behave("normal")
    yield desk
    desk.close()


class Desk:
    """What a person does and sees."""

    def __init__(self, folder, package, wait_until):
        from MedSAM2SlicerLib.CaseFolder import chooseFolder
        from MedSAM2SlicerLib.Environment import EngineEnvironment
        from MedSAM2SlicerLib.ImprovePanel import ImprovePanel
        from MedSAM2SlicerLib.TrainingCommand import TrainingCommand

        self.root = folder / "mine"
        self.root.mkdir(exist_ok=True)
        chooseFolder(str(self.root))
        self.command = TrainingCommand(EngineEnvironment(package), package)
        self.chosen = SimpleNamespace(volumeNode=None, segmentationNode=None)
        self.models = SimpleNamespace(model="embedded", device="cpu")
        self.heard = []
        self._wait_until = wait_until
        self.panel = ImprovePanel(
            str(MODULE_FOLDER / "Resources" / "UI" / "ImprovePanel.ui"),
            self.command,
            self.chosen,
            self.models,
            {"embedded": "Embedded model"}.get,
        )
        self.ui = self.panel.ui
        for name in ("onListed", "askToInstall", "askForParts", "onUse", "openPage"):
            setattr(self.panel, name, self._hear(name))
        self.panel.widget.show()
        self.ui.improveGroup.collapsed = False

    def close(self):
        import slicer

        self.panel.widget.hide()
        self.panel.stop()
        slicer.app.settings().remove("MedSAM2Slicer/TrainingFolder")

    def behave(self, mode, **others):
        (self.root / "behaviour.json").write_text(json.dumps({"mode": mode, **others}))

    def calls(self):
        file = self.root / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def status(self):
        return self.ui.statusLabel.text

    def shown(self):
        return [name for name in BUTTONS if getattr(self.ui, f"{name}Button").visible]

    def add(self):
        self.ui.addButton.click()
        self.rest()

    def improve(self):
        self.ui.improveButton.click()
        self.rest()

    def start(self):
        self.improve()
        self.ui.agreeButton.click()

    def rest(self):
        """Until nothing is copied or trained any more."""
        self.wait(lambda: self.panel._export is None and not self.command.isRunning)

    def wait(self, condition, timeout_s=30):
        self._wait_until(condition, timeout_s)

    def case_folders(self):
        return sorted((self.root / "cases").glob("*"))

    def _hear(self, name):
        return lambda *arguments: self.heard.append((name, *arguments))


@pytest.fixture
def patient(add_volume):
    """``patient(seed, names, approved=..., matrix=...)``: a volume and a segmentation with balls of those names."""
    import slicer

    from MedSAM2SlicerLib.LesionTable import APPROVED, setState

    def make(seed=0, names=("GTVp2",), approved=True, matrix=None):
        rng = np.random.default_rng(seed)
        k, j, i = np.mgrid[:12, :30, :34]
        balls = [4 * (k - 6) ** 2 + (j - 14) ** 2 + (i - 10 - 9 * n) ** 2 < 64 for n in range(len(names))]
        voxels = (100 * np.logical_or.reduce(balls) + 10 * rng.standard_normal(k.shape)).astype(np.int16)
        volume = add_volume(voxels, matrix, name=f"CT {seed}")
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"of {seed}")
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        for name, ball in zip(names, balls, strict=True):
            segment_id = node.GetSegmentation().AddEmptySegment("", name)
            slicer.util.updateSegmentBinaryLabelmapFromArray(ball.astype(np.uint8), node, segment_id, volume)
            if approved:
                setState(node, segment_id, APPROVED)
        return SimpleNamespace(volume=volume, segmentation=node, voxels=voxels, balls=balls)

    return make


# ---- the cases


def test_the_section_says_what_it_is_for_and_what_is_there(desk):
    assert "Trains the chosen model further on lesions that you have approved" in desk.ui.explainLabel.text
    assert desk.ui.casesLabel.text == "No case is kept yet."
    assert desk.shown() == ["add", "improve"]
    assert str(desk.root) in desk.ui.folderLabel.text


def test_approved_lesions_of_all_volumes_become_cases_and_the_others_do_not(desk, patient):
    patient(1, ("GTVp", "GTVp2"))
    patient(2, ("Liver",))
    patient(3, approved=False)
    desk.add()
    assert desk.status.startswith("3 approved lesions of 2 volumes are in the folder.")
    assert desk.ui.casesLabel.text == "Cases: 2, patients: 2. GTVp (1), Liver (1)."
    assert len(desk.case_folders()) == 2


READ_CASE = """
import sys
from pathlib import Path
import numpy as np
from medsam2_engine.finetune.cases import read_cases
(case,) = read_cases(Path(sys.argv[1]))
masks = {f"mask{number}": case.mask(structure) for number, structure in enumerate(case.structures)}
names = [structure.name for structure in case.structures]
volume = {"voxels": case.volume.voxels_kji, "ijk_to_ras": case.volume.ijk_to_ras}
np.savez(sys.argv[2], names=names, licence=case.licence, **volume, **masks)
"""


def as_the_engine_reads_it(folder):
    """The only case in a folder, read by a Python of its own: Slicer's has no torch."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    found = folder.parent / "found.npz"
    environment = {**os.environ, "PYTHONPATH": str(MODULE_FOLDER)}
    subprocess.run([sys.executable, "-c", READ_CASE, str(folder), str(found)], check=True, env=environment)
    with np.load(found) as case:
        return dict(case)


def test_a_case_holds_the_volumes_voxels_and_the_lesions_on_them(desk, patient):
    """As the engine reads it; the volume is oblique, flipped, and the lesions overlap."""
    mirrored = OBLIQUE @ np.diag([-1.0, 1, 1, 1])
    one = patient(1, ("GTVp", "Läsion 3"), matrix=mirrored)
    assert (one.balls[0] & one.balls[1]).any()
    desk.add()
    case = as_the_engine_reads_it(desk.root / "cases")
    np.testing.assert_array_equal(case["voxels"], one.voxels)
    np.testing.assert_allclose(case["ijk_to_ras"], mirrored, atol=1e-5)
    assert case["names"].tolist() == ["GTVp", "Läsion"]
    for number, ball in enumerate(one.balls):
        np.testing.assert_array_equal(case[f"mask{number}"], ball)
    assert case["licence"] == "own data"


def test_lesions_lie_on_their_voxels_although_only_the_volume_was_moved(desk, patient, scene):
    """The segmentation follows the transform as seen in the views, and not the numbers in its file."""
    import vtk

    one = patient(1)
    matrix = vtk.vtkMatrix4x4()
    one.volume.GetIJKToRASMatrix(matrix)
    spacing = abs(matrix.GetElement(0, 0))
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    moved = vtk.vtkMatrix4x4()
    moved.SetElement(0, 3, 3 * spacing)
    transform.SetMatrixTransformToParent(moved)
    one.volume.SetAndObserveTransformNodeID(transform.GetID())
    desk.add()
    case = as_the_engine_reads_it(desk.root / "cases")
    expected = np.roll(one.balls[0], -3 if matrix.GetElement(0, 0) > 0 else 3, axis=2)
    np.testing.assert_array_equal(case["mask0"], expected)


def test_slicer_itself_reads_the_lesions_of_a_case(desk, patient, scene):
    import slicer

    one = patient(1, ("GTVp", "GTVn"), matrix=OBLIQUE)
    desk.add()
    node = slicer.util.loadSegmentation(str(desk.case_folders()[0] / "label.seg.nrrd"))
    ids = node.GetSegmentation().GetSegmentIDs()
    assert [node.GetSegmentation().GetSegment(one_id).GetName() for one_id in ids] == ["GTVp", "GTVn"]
    for segment_id, ball in zip(ids, one.balls, strict=True):
        found = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, one.volume)
        np.testing.assert_array_equal(found > 0, ball)


def test_the_same_volume_in_another_scene_takes_the_place_of_its_earlier_case(desk, patient, scene):
    patient(1, ("GTVp", "GTVn"))
    desk.add()
    scene.Clear(0)
    patient(1, ("Liver", "Liver^2"))
    desk.add()
    assert desk.ui.casesLabel.text == "Cases: 1, patients: 1. Liver (1)."
    assert not list((desk.root / "unfinished").iterdir())


def test_volumes_of_one_patient_count_as_one_and_nobody_is_named(desk, patient, scene):
    import slicer

    constants = slicer.vtkMRMLSubjectHierarchyConstants
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    subject = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Doe, Jane")
    hierarchy.SetItemLevel(subject, constants.GetDICOMLevelPatient())
    hierarchy.SetItemAttribute(subject, constants.GetDICOMPatientIDAttributeName(), "1234567")
    for seed in (1, 2):
        hierarchy.SetItemParent(hierarchy.GetItemByDataNode(patient(seed).volume), subject)
    desk.improve()
    assert desk.ui.casesLabel.text == "Cases: 2, patients: 1. GTVp (2)."
    assert "There are cases of one patient only." in desk.status
    written = "".join(path.read_text() for path in (desk.root / "cases").glob("*/meta.json"))
    assert "Doe" not in written
    assert "1234567" not in written


def test_without_an_approved_lesion_the_sentence_says_where_to_approve(desk, patient):
    patient(1, approved=False)
    for press in (desk.add, desk.improve):
        press()
        assert desk.status.startswith("No lesion of this scene is approved yet. Approve those that are right")
    assert desk.calls() == []


def test_what_cannot_be_learnt_from_is_left_out_and_named(desk, patient, scene):
    import slicer

    from MedSAM2SlicerLib.LesionTable import APPROVED, setState

    one = patient(1, ("GTVp", "Speck"))
    tiny = np.zeros(one.voxels.shape, np.uint8)
    tiny[5, 5:7, 5:7] = 1
    speck = one.segmentation.GetSegmentation().GetNthSegmentID(1)
    slicer.util.updateSegmentBinaryLabelmapFromArray(tiny, one.segmentation, speck, one.volume)
    setState(one.segmentation, speck, APPROVED)
    desk.add()
    assert "1 approved lesions of 1 volumes" in desk.status
    assert "Speck was left out: it has fewer than 3 slices." in desk.status
    tiny[9, 5:7, 5:7] = 1  # two slices of the engine's, though far apart
    slicer.util.updateSegmentBinaryLabelmapFromArray(tiny, one.segmentation, speck, one.volume)
    desk.add()
    assert "Speck was left out: it has fewer than 3 slices." in desk.status


def test_a_folder_that_cannot_be_written_is_said_and_leaves_nothing(desk, patient, monkeypatch):
    from MedSAM2SlicerLib import CaseExport

    patient(1)
    monkeypatch.setattr(CaseExport, "freeBytes", lambda folder: 100)
    desk.add()
    assert "0.0 GB are free" in desk.status
    monkeypatch.undo()

    def full(*_arguments):
        yield b"NRRD0004"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CaseExport, "volumePieces", full)
    desk.add()
    assert "No space left on device" in desk.status
    assert "choose another folder" in desk.status
    assert desk.case_folders() == []


def test_a_folder_on_a_disk_that_is_not_there_is_said_and_another_can_be_chosen(desk, patient, monkeypatch):
    """Such as a drive of the department's, away from its network."""
    from MedSAM2SlicerLib import CaseExport

    def gone(folder):
        raise FileNotFoundError(2, "The system cannot find the path specified", str(folder))

    patient(1)
    monkeypatch.setattr(CaseExport, "freeBytes", gone)
    for press in (desk.add, desk.improve):
        press()
        assert "cannot be reached (The system cannot find the path specified)" in desk.status
    monkeypatch.undo()
    desk.add()
    assert desk.status.startswith("1 approved lesions of 1 volumes")


def test_a_folder_that_may_not_be_looked_into_counts_as_empty(desk, monkeypatch):
    is_dir = Path.is_dir

    def refuse(path):
        if desk.root in path.parents:
            raise PermissionError(13, "Access is denied", str(path))
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", refuse)
    desk.panel.onOpened()
    assert desk.ui.casesLabel.text == "No case is kept yet."


def test_without_room_nothing_starts_on_the_earlier_cases_alone(desk, patient, monkeypatch):
    from MedSAM2SlicerLib import CaseExport

    for seed in (1, 2):
        patient(seed)
    desk.add()
    monkeypatch.setattr(CaseExport, "freeBytes", lambda folder: 100)
    desk.improve()
    assert "0.0 GB are free" in desk.status
    assert desk.shown() == ["add", "improve"]


def test_a_case_that_cannot_be_replaced_stays_as_it_was(desk, patient, monkeypatch):
    """Windows refuses to move a folder while a virus scanner reads in it."""
    from MedSAM2SlicerLib import CaseFolder

    patient(1)
    desk.add()
    (kept,) = desk.case_folders()
    before = (kept / "meta.json").read_text()
    replace = os.replace

    def refuse(source, target):
        if Path(source).parent.name == "unfinished" and not str(source).endswith("earlier"):
            raise PermissionError(13, "Access is denied")
        replace(source, target)

    monkeypatch.setattr(CaseFolder.os, "replace", refuse)
    desk.add()
    assert "Access is denied" in desk.status
    assert (kept / "meta.json").read_text() == before


def test_a_lesion_deleted_or_withdrawn_while_others_are_copied_is_no_case(desk, patient):
    from MedSAM2SlicerLib.LesionTable import EDITED, setState

    patient(1)
    later, last = patient(2), patient(3)
    desk.ui.addButton.click()
    later.segmentation.GetSegmentation().RemoveAllSegments()
    setState(last.segmentation, last.segmentation.GetSegmentation().GetNthSegmentID(0), EDITED)
    desk.rest()
    assert desk.status == "1 approved lesions of 1 volumes are in the folder."
    assert desk.shown() == ["add", "improve"]


def test_lesions_on_a_clone_of_a_volume_belong_to_the_same_case(desk, patient):
    patient(1, ("GTVp",))
    patient(1, ("Liver",))
    desk.add()
    assert desk.status == "2 approved lesions of 1 volumes are in the folder."
    assert desk.ui.casesLabel.text == "Cases: 1, patients: 1. GTVp (1), Liver (1)."


def test_approved_lesions_of_which_nothing_says_the_volume_are_named(desk, patient):
    """Such as of a segmentation that came from a file."""
    one, other = patient(1), patient(2)
    role = one.segmentation.GetReferenceImageGeometryReferenceRole()
    other.segmentation.SetNodeReferenceID(role, None)
    desk.add()
    sentence = "of 2 was left out: nothing says on which volume it was drawn. Choose both in the panel, and add again."
    assert desk.status == f"1 approved lesions of 1 volumes are in the folder. {sentence}"
    one.segmentation.SetNodeReferenceID(role, None)
    desk.add()
    assert "No lesion of this scene is approved" not in desk.status
    assert "of 1 was left out" in desk.status
    desk.chosen.volumeNode, desk.chosen.segmentationNode = one.volume, one.segmentation
    desk.add()
    assert desk.status.startswith("1 approved lesions of 1 volumes")


def test_another_folder_has_other_cases(desk, patient, tmp_path):
    patient(1)
    desk.add()
    (tmp_path / "ours").mkdir()
    desk.ui.folderPath.setCurrentPath(str(tmp_path / "ours"))
    desk.wait(lambda: desk.ui.casesLabel.text == "No case is kept yet.")
    assert str(tmp_path / "ours") in desk.ui.folderLabel.text


def test_a_scene_closed_while_its_cases_are_copied_ends_the_copying(desk, patient, scene):
    patient(1)
    patient(2)
    desk.ui.addButton.click()
    scene.Clear(0)
    desk.rest()
    assert len(desk.case_folders()) == 1  # the one whose voxels were being written
    assert desk.status.startswith("1 approved lesions of 1 volumes")


def test_voxels_that_change_while_they_are_copied_are_no_case(desk, patient):
    """Half of the one image and half of the other would be learnt from."""
    import slicer

    one = patient(1)
    desk.ui.addButton.click()
    desk.wait(lambda: list((desk.root / "unfinished").glob("*/image.nrrd.part")))
    slicer.util.arrayFromVolume(one.volume)[:] = 0
    slicer.util.arrayFromVolumeModified(one.volume)
    desk.rest()
    assert desk.status == "The voxels of CT 1 changed while they were copied. Add the cases again."
    assert desk.case_folders() == []
    desk.add()
    assert desk.status.startswith("1 approved lesions of 1 volumes")


def test_copying_a_large_volume_never_holds_slicer_up(desk, add_volume, app):
    import time

    import slicer

    from MedSAM2SlicerLib.LesionTable import APPROVED, setState

    volume = add_volume(np.zeros((40, 512, 512), np.int16))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment_id = node.GetSegmentation().AddEmptySegment("", "GTVp")
    ball = np.zeros((40, 512, 512), np.uint8)
    ball[10:20, 200:240, 200:240] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(ball, node, segment_id, volume)
    setState(node, segment_id, APPROVED)
    desk.ui.addButton.click()
    turns = 0
    while desk.panel._export is not None:
        app.processEvents()
        turns += 1
        time.sleep(0)
    assert turns >= 40  # a slice or less at a time
    assert len(desk.case_folders()) == 1


# ---- the training


def test_what_would_be_learnt_from_is_shown_before_it_starts(desk, patient):
    patient(1)
    patient(2)
    desk.ui.nameEdit.text = "Our sarcomas"
    desk.improve()
    assert desk.shown() == ["agree", "decline"]
    text = desk.ui.confirmationText.text
    for words in ("Begins with: Embedded model", "Cases: 2, patients: 2. GTVp (2)", "“Our sarcomas”", str(desk.root)):
        assert words in text
    desk.ui.declineButton.click()
    assert desk.calls() == []
    assert desk.shown() == ["add", "improve"]


def test_what_was_left_out_is_still_said_beside_the_question(desk, patient):
    for seed in (1, 2):
        patient(seed)
    other = patient(3)
    other.segmentation.SetNodeReferenceID(other.segmentation.GetReferenceImageGeometryReferenceRole(), None)
    desk.improve()
    assert desk.shown() == ["agree", "decline"]
    assert "of 3 was left out: nothing says on which volume it was drawn." in desk.status


def test_a_scene_of_which_all_is_left_out_does_not_keep_from_training_on_the_earlier_cases(desk, patient, scene):
    for seed in (1, 2):
        patient(seed)
    desk.add()
    scene.Clear(0)
    other = patient(3)
    other.segmentation.SetNodeReferenceID(other.segmentation.GetReferenceImageGeometryReferenceRole(), None)
    desk.improve()
    assert desk.shown() == ["agree", "decline"]
    assert "of 3 was left out" in desk.status


def test_a_training_shows_how_far_it_is_and_what_it_takes(desk, patient):
    patient(1)
    patient(2)
    desk.start()
    desk.wait(lambda: desk.ui.progressBar.value >= 3)
    assert desk.shown() == ["cancel"]
    assert desk.ui.progressBar.maximum == 300
    assert "of 300, loss 0.50, about" in desk.status
    assert desk.status.endswith("It takes about 0.9 GB of memory.")
    assert desk.ui.improveGroup.title.endswith("%)")
    (call,) = desk.calls()
    assert call[0] == "finetune"
    assert call[call.index("--only") + 1 :] == [path.name for path in desk.case_folders()]
    for words in (["--model", "embedded"], ["--train", "auto"], ["--steps", "300"], ["--device", "cpu"]):
        assert words == call[call.index(words[0]) : call.index(words[0]) + 2]


def test_a_cancelled_training_goes_on_from_where_it_stopped_though_cases_were_added(desk, patient, scene):
    patient(1)
    patient(2)
    desk.start()
    desk.wait(lambda: desk.ui.progressBar.value >= 2)
    desk.ui.cancelButton.click()
    assert desk.status.startswith("Stopping after this step")
    desk.rest()
    assert "can go on from there" in desk.status
    assert desk.shown() == ["add", "improve", "goOn"]
    stopped = int(next((desk.root / "trainings").glob("*/kept")).read_text())
    patient(3)
    desk.add()
    desk.ui.goOnButton.click()
    desk.wait(lambda: desk.ui.progressBar.value > stopped)
    first, second = desk.calls()
    assert second == first


def test_a_training_is_found_again_after_slicer_was_closed(desk, patient, tmp_path, wait_until):
    patient(1)
    patient(2)
    desk.start()
    desk.wait(lambda: desk.ui.progressBar.value >= 2)
    desk.panel.stop()
    desk.wait(lambda: not desk.command.isRunning)
    again = Desk(tmp_path, desk.root.parent / "extension" / "MedSAM2Slicer", wait_until)
    assert again.shown() == ["add", "improve", "goOn"]
    again.close()


def test_a_training_that_does_not_listen_is_stopped_by_the_second_click(desk, patient):
    patient(1)
    patient(2)
    desk.behave("deaf")
    desk.start()
    desk.wait(lambda: desk.ui.progressBar.value >= 2)
    desk.ui.cancelButton.click()
    assert desk.ui.cancelButton.text == "Stop at once"
    desk.ui.cancelButton.click()
    assert not desk.command.isRunning
    assert "goOn" in desk.shown()


def test_the_result_can_be_used_at_once_and_its_report_opened(desk, patient):
    patient(1)
    patient(2)
    desk.ui.nameEdit.text = "Our sarcomas"
    desk.ui.durationSelector.setCurrentIndex(0)
    desk.start()
    desk.rest()
    assert desk.status == (
        "“Our sarcomas”: Dice 0.700 before, 0.750 after (change +0.050 ± 0.020, 2 structures kept apart)."
    )
    assert desk.shown() == ["add", "improve", "use", "report"]
    assert ("onListed",) in desk.heard
    desk.ui.reportButton.click()
    (page,) = [one[1] for one in desk.heard if one[0] == "openPage"]
    assert Path(page).read_text() == "<h1>Report</h1>"
    desk.ui.useButton.click()
    (used,) = [one[1] for one in desk.heard if one[0] == "onUse"]
    assert used == desk.calls()[0][desk.calls()[0].index("--id") + 1]
    assert desk.status == "“Our sarcomas” is used from the next prompt on."


def test_a_result_that_is_no_better_is_not_praised(desk, patient):
    patient(1)
    patient(2)
    desk.behave("normal", change=-0.01)
    desk.ui.durationSelector.setCurrentIndex(0)
    desk.start()
    desk.rest()
    assert desk.status.endswith("It is no better: more cases may help.")


def test_an_end_that_cannot_be_noted_is_said_and_the_result_can_be_used(desk, patient, monkeypatch):
    from MedSAM2SlicerLib.TrainingRecord import TrainingRecord

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    patient(1)
    patient(2)
    desk.ui.durationSelector.setCurrentIndex(0)
    desk.start()
    monkeypatch.setattr(TrainingRecord, "write", full)
    desk.rest()
    assert "(No space left on device). Choose another folder, or free some space." in desk.status
    assert "use" in desk.shown()


def test_one_patient_is_not_enough_and_the_sentence_says_why(desk, patient):
    patient(1)
    desk.improve()
    assert "One patient is kept apart, to see whether the model gets better" in desk.status
    assert desk.shown() == ["add", "improve"]


def test_too_little_memory_is_a_sentence_without_a_command(desk, patient):
    patient(1)
    patient(2)
    text = "This training needs about 9.1 GB, but only 2.0 GB are free. Close other programs (`--train head`)."
    desk.behave("refuse", code="too_little_memory", text=text)
    desk.start()
    desk.rest()
    assert desk.status == "This training needs about 9.1 GB, but only 2.0 GB are free. Close other programs."
    assert desk.shown() == ["add", "improve", "goOn"]


def test_a_name_may_begin_with_a_hyphen(desk, patient):
    patient(1)
    patient(2)
    desk.ui.nameEdit.text = "-  Müller's “best”"
    desk.start()
    desk.wait(lambda: desk.ui.progressBar.value >= 1)
    (call,) = desk.calls()
    assert "--title=-  Müller's “best”" in call


def test_a_sentence_of_the_engines_is_read_as_it_was_written(desk, patient, monkeypatch):
    """Windows gives the pipes of a Python an encoding of its own."""
    patient(1)
    patient(2)
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    desk.behave("fail", text="C:/Users/Müller cannot be written to.")
    desk.start()
    desk.rest()
    assert desk.status == "The training failed: C:/Users/Müller cannot be written to."


def test_missing_packages_are_offered(desk, patient):
    patient(1)
    patient(2)
    desk.behave("refuse", code="missing_packages", text="LoRA needs the package peft, which is not installed.")
    desk.start()
    desk.rest()
    assert "peft" in desk.status
    assert "parts" in desk.shown()
    desk.ui.partsButton.click()
    assert desk.heard[-1] == ("askForParts",)


def test_a_training_that_the_system_killed_says_so_and_goes_on(desk, patient):
    patient(1)
    patient(2)
    desk.behave("die")
    desk.start()
    desk.rest()
    assert "ended from outside; the computer may have run out of memory" in desk.status
    desk.behave("normal")
    assert "goOn" in desk.shown()
    desk.ui.goOnButton.click()
    desk.wait(lambda: desk.ui.progressBar.value > 2)


def test_without_an_engine_the_installation_is_offered(desk, patient, monkeypatch):
    patient(1)
    patient(2)
    monkeypatch.setenv("MEDSAM2_ENGINE_PYTHON", "/no/python/here")
    desk.start()
    desk.rest()
    assert "There is no Python at /no/python/here" in desk.status
    assert desk.heard[-1] == ("askToInstall",)


def test_the_module_has_the_section_folded_and_leads_to_what_it_needs(module):
    """About the chosen model; nothing is read before it is opened."""
    section = module.widget.engineSection
    panel = section.improvePanel
    assert panel.ui.improveGroup.collapsed
    assert panel.ui.casesLabel.text == ""
    assert panel._models is section.choice
    assert panel._chosen is module.controller.choice
    panel.askForParts()
    assert section.enginePanel.ui.confirmationTitle.text == "Get the parts for training?"
    assert "PyTorch stays as it is" in section.enginePanel.ui.confirmationText.text


@pytest.mark.slow
def test_from_approved_lesions_to_a_model_in_the_list(app, scene, tmp_path, wait_until, monkeypatch, patient):
    """With the engine and the model that ship; nothing is imitated."""
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    from MedSAM2SlicerLib import ImproveText

    monkeypatch.setattr(ImproveText, "SHORT", 2)
    monkeypatch.setenv("MEDSAM2_ENGINE_PYTHON", sys.executable)
    monkeypatch.setenv("MEDSAM2_MODELS", str(tmp_path / "models"))
    desk = Desk(tmp_path, MODULE_FOLDER, wait_until)
    try:
        patient(1)
        patient(2)
        desk.ui.nameEdit.text = "Our sarcomas"
        desk.ui.durationSelector.setCurrentIndex(0)
        desk.start()
        desk.wait(lambda: not desk.command.isRunning, 200)
        assert re.match(r"“Our sarcomas”: Dice [01]\.\d{3} before, [01]\.\d{3} after", desk.status), desk.status
        models = [json.loads(path.read_text()) for path in (tmp_path / "models").glob("*/*.json")]
        assert "Our sarcomas" in json.dumps(models, ensure_ascii=False)
        assert os.path.isfile(desk.panel._record.facts["report"])
    finally:
        desk.close()
