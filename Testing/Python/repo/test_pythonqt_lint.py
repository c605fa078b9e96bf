"""Slicer's side keeps to what PythonQt really does, and each rule of that lint catches what it is for."""

from pathlib import Path

import pytest

pytest.importorskip("PySide6")
pytest.importorskip("slicer")
from slicerhost import lint

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "MedSAM2Slicer"

CAUGHT = [
    ("other_qt_binding", "from PySide6 import QtCore"),
    ("other_qt_binding", "import PyQt5.QtWidgets"),
    ("other_qt_binding", "from qt import QTimer"),
    ("keyword_argument", "qt.QPushButton(text='x')"),
    ("keyword_argument", "slicer.qMRMLNodeComboBox(parent=None)"),
    ("scoped_enum", "qt.Qt.Orientation.Horizontal"),
    ("isinstance_of_qt_class", "isinstance(x, qt.QWidget)"),
    ("isinstance_of_qt_class", "isinstance(x, (int, ctk.ctkComboBox))"),
    ("not_in_slicer", "qt.QThread()"),
    ("not_in_slicer", "qt.QRegExp('a')"),
    ("called_property", "self.ui.status.text()"),
    ("called_property", "self._ui.status.text()"),
    ("called_property", "self.widget.status.text()"),
    ("called_property", "self.widget.toolTip()"),
    ("called_property", "module.widget.ui.status.text()"),
    ("property_only_setter", "self.ui.inputs.setCollapsed(True)"),
    ("unreturnable_value", "table.fontMetrics().height()"),
    ("nodes_of_another_scene", "slicer.util.getNodesByClass('vtkMRMLModelNode', scene)"),
    ("unknown_signal", "button.connect('clickd()', f)"),
    ("unknown_signal", "box.connect('currentNodeChanged(vtkMRMLModelNode*)', f)"),
    ("torch_at_import", "import torch.nn"),
    ("torch_at_import", "try:\n    import torch\nexcept ImportError:\n    torch = None"),
    ("torch_at_import", "if True:\n    pass\nelse:\n    from torch import nn"),
    ("torch_at_import", "class A:\n    import torch"),
    ("torch_at_import", "with a:\n    for b in c:\n        import torch"),
    ("torch_at_import", "if TYPE_CHECKING:\n    pass\nelse:\n    import torch"),
]
ALLOWED = [
    "import qt",
    "import torchy",
    "def f():\n    import torch",
    "class A:\n    def f(self):\n        import torch",
    "if typing.TYPE_CHECKING:\n    import torch",
    "qt.QPushButton('x')",
    "qt.QTimer.singleShot(0, f)",
    "qt.QProcess.NotRunning",
    "qt.QApplication.instance().processEvents()",
    "slicer.util.loadVolume(path, properties={})",
    "isinstance(x, dict)",
    "table.item(0, 0).text()",
    "self._ui.table.item(0, 0).text()",
    "self.ui.section.layout()",
    "self.ui.status.text",
    "qt.QFontMetrics(table.font).height()",
    "self.ui.inputs.collapsed = True",
    "slicer.util.getNodesByClass('vtkMRMLModelNode')",
    "process.connect('finished(int,QProcess::ExitStatus)', f)",
    "process.connect('finished( int, QProcess::ExitStatus )', f)",
    "box.connect('currentNodeChanged(vtkMRMLNode*)', f)",
    "socket.connect(address)",
]


@pytest.fixture(scope="module")
def known_signals():
    return lint.signals_of_host()


def files_of_slicers_side():
    """Everything that a real Slicer runs: the module, its packages, and the test that it is installed."""
    packages = ("MedSAM2SlicerLib", "medsam2_protocol")
    inside = [path for package in packages for path in sorted((MODULE / package).rglob("*.py"))]
    return [MODULE / "MedSAM2Slicer.py", *inside, *sorted((ROOT / "Testing/Slicer").glob("*.py"))]


def test_slicers_side_does_nothing_that_pythonqt_does_not(known_signals):
    found = {
        path.relative_to(ROOT).as_posix(): lint.findings(path.read_text(encoding="utf-8"), known_signals)
        for path in files_of_slicers_side()
    }
    assert {name: findings for name, findings in found.items() if findings} == {}


@pytest.mark.parametrize("name", ["Panel", "messages", "InstalledModuleTest"])
def test_the_lint_reads_every_folder_that_slicer_runs(name):
    assert name in {path.stem for path in files_of_slicers_side()}


@pytest.mark.parametrize(("rule", "source"), CAUGHT)
def test_a_habit_that_fails_in_slicer_is_found(rule, source, known_signals):
    assert [finding.rule for finding in lint.findings(source, known_signals)] == [rule]


@pytest.mark.parametrize("source", ALLOWED)
def test_what_works_in_slicer_is_not_found(source, known_signals):
    assert lint.findings(source, known_signals) == []


def test_every_rule_has_a_habit_it_catches():
    rules = {rule.__name__ for rule in lint.RULES} | {"unknown_signal", "torch_at_import"}
    assert {rule for rule, _source in CAUGHT} == rules
