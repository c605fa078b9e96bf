"""Mistakes that other tools made and that a search can find: each is a rule here, named in its test."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PRODUCT = ROOT / "MedSAM2Slicer"
HOST = [
    PRODUCT / "MedSAM2Slicer.py",
    *sorted((PRODUCT / "MedSAM2SlicerLib").glob("*.py")),
    *sorted((PRODUCT / "medsam2_protocol").glob("*.py")),
]
EVERYTHING = sorted(PRODUCT.rglob("*.py"))

WAITING = {"processEvents", "sleep", "waitForFinished", "waitForStarted", "waitForReadyRead", "waitForBytesWritten"}
BLOCKING_MODULES = {"threading", "multiprocessing", "concurrent", "subprocess", "queue", "_thread", "QThread"}
NETWORK_MODULES = {"socket", "ssl", "http", "urllib", "requests", "httpx", "ftplib", "pip", "ensurepip"}
# Qt's ways out, under whatever name `qt` is known; a QLocalSocket stays on the machine.
NETWORK_CLASSES = re.compile(
    r"^Q(?:NetworkAccessManager|NetworkRequest|TcpSocket|TcpServer|UdpSocket|SslSocket|Web\w+)$"
)
# Addresses are parsed and proxies read; a rule below forbids to open any.
HARMLESS = {"urllib.parse", "urllib.request"}
# Elsewhere than on Linux a process tree is ended by a program of the system, which is started and not waited for.
PROCESS_KILLER = "ProcessTree.py"
FOREIGN_NODES = {"GetFirstNode", "GetFirstNodeByClass", "GetFirstNodeByName", "getFirstNodeByName", "RemoveAllNodes"}
# Whose nodes are removed there: prompts, and diameter lines, recognised by an attribute of ours.
REMOVERS = {
    "DeletedSegment.py",
    "DiameterLines.py",
    "Previewing.py",
    "PromptMarkups.py",
    "PromptRecords.py",
    "SegmentExport.py",
    "SegmentationController.py",
}
INDEX_NAME = re.compile(r"(?:^|_)(?:slice|index)$|(?:slice|frame)_?[iI]ndex$|^(?:i|j|k)$")


@cache
def nodes_in(file):
    return tuple(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


def nodes_of(files, kind):
    return [(file, node) for file in files for node in nodes_in(file) if isinstance(node, kind)]


def place(file, node):
    return f"{file.relative_to(ROOT)}:{node.lineno}"


def called(call):
    """The last name of what is called: `qt.QTimer.singleShot()` calls `singleShot`."""
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def calls_of(files, names):
    return [place(file, call) for file, call in nodes_of(files, ast.Call) if called(call) in names]


def imports_of(files, names):
    found = []
    for file, node in nodes_of(files, (ast.Import, ast.ImportFrom)):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        wrong = [module for module in modules if module.partition(".")[0] in names and module not in HARMLESS]
        found += [place(file, node) for _ in wrong if file.name != PROCESS_KILLER]
    return found


def names_in(node):
    """What the code calls things at this place: names, attributes, imported names, and texts that are one word."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [part for alias in node.names for part in alias.name.split(".")]
    name = getattr(node, "id", getattr(node, "attr", getattr(node, "value", "")))
    return [name] if isinstance(name, str) else []


def names_like(files, pattern):
    found = nodes_of(files, ast.AST)
    return [place(file, node) for file, node in found for name in names_in(node) if pattern.match(name)]


def test_the_rules_see_the_sources():
    assert len(HOST) > 50
    assert len(EVERYTHING) > len(HOST)
    assert calls_of(HOST, {"RemoveNode"})


def test_slicers_thread_never_waits():
    assert calls_of(HOST, WAITING) == []


def test_slicers_side_has_no_thread_and_no_child_but_through_qt():
    """So nothing installs packages from a thread, which crashes Slicer 5.12.0."""
    assert imports_of(HOST, BLOCKING_MODULES) == []


def test_slicers_side_never_touches_the_network_and_never_installs_into_slicers_python():
    assert imports_of(HOST, NETWORK_MODULES) == []
    assert calls_of(HOST, {"pip_install", "pip_ensure", "pip_uninstall", "urlretrieve", "urlopen"}) == []


def test_slicers_side_has_no_way_to_the_network_through_qt_either():
    """A Slicer that starts offline has nothing to wait for. What is fetched is fetched by the engine's processes."""
    assert names_like(HOST, NETWORK_CLASSES) == []


@pytest.mark.parametrize(
    "source",
    [
        "qt.QNetworkAccessManager()",
        "manager = qt.QNetworkAccessManager",
        "socket = QTcpSocket()",
        "getattr(qt, 'QUdpSocket')()",
        "from qt import QTcpSocket as Pipe",
        "slicer.qSlicerWebWidget(), qt.QWebEngineView()",
    ],
)
def test_every_spelling_of_a_way_to_the_network_is_seen(source):
    assert any(NETWORK_CLASSES.match(name) for node in ast.walk(ast.parse(source)) for name in names_in(node))


@pytest.mark.parametrize("source", ["qt.QLocalSocket()", "qt.QProcess()", "'a QTcpSocket is not used'", "QUrl(text)"])
def test_what_stays_on_the_computer_is_no_way_to_the_network(source):
    assert not any(NETWORK_CLASSES.match(name) for node in ast.walk(ast.parse(source)) for name in names_in(node))


def test_no_node_is_taken_because_it_is_the_first():
    assert calls_of(HOST, FOREIGN_NODES) == []


def test_nodes_are_removed_only_where_they_are_known_to_be_ours():
    removing = {Path(found.rpartition(":")[0]).name for found in calls_of(HOST, {"RemoveNode"})}
    assert removing <= REMOVERS


def test_warnings_of_slicer_are_never_switched_off():
    assert calls_of(HOST, {"GlobalWarningDisplayOff", "SetGlobalWarningDisplay"}) == []


def test_segments_are_never_put_on_a_shared_labelmap():
    assert calls_of(HOST, {"CollapseBinaryLabelmaps"}) == []


def test_no_slice_number_is_asked_whether_it_is_true():
    """Slice 0 is a slice."""
    found = []
    for file, node in nodes_of(EVERYTHING, (ast.If, ast.IfExp, ast.While, ast.UnaryOp, ast.BoolOp)):
        if isinstance(node, ast.UnaryOp):
            asked = [node.operand] if isinstance(node.op, ast.Not) else []
        else:
            asked = node.values if isinstance(node, ast.BoolOp) else [node.test]
        names = [getattr(one, "attr", getattr(one, "id", "")) for one in asked]
        found += [place(file, node) for name in names if INDEX_NAME.search(name)]
    assert found == []


@pytest.mark.parametrize("text", ["/tmp", "\\Temp\\", ".jpg", ".jpeg", "JPEG", ".pkl", ".pickle"])
def test_no_file_has_a_fixed_place_and_nothing_medical_a_lossy_or_executable_form(text):
    constants = nodes_of(EVERYTHING, ast.Constant)
    allowed = {"state_file.py", "conversion.py", "adapters.py"} if text.startswith(".p") else set()
    found = [
        place(file, node)
        for file, node in constants
        if isinstance(node.value, str) and text in node.value and not _is_prose(node.value) and file.name not in allowed
    ]
    assert found == []
    assert calls_of(EVERYTHING, {"mktemp"}) == []


def _is_prose(text):
    """A docstring or a sentence may speak of what the code does not do."""
    return len(text.split()) > 3


def test_nothing_but_names_is_made_when_a_file_of_slicers_side_is_imported():
    found = []
    for file in HOST:
        for statement in ast.parse(file.read_text(encoding="utf-8")).body:
            is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            makes_names = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign, ast.If)
            if not is_text and not isinstance(statement, makes_names):
                found.append(place(file, statement))
    assert found == []


def test_the_modules_constructor_only_describes_it():
    tree = ast.parse((PRODUCT / "MedSAM2Slicer.py").read_text(encoding="utf-8"))
    module = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "MedSAM2Slicer")
    constructor = next(node for node in module.body if getattr(node, "name", "") == "__init__")
    done = {ast.unparse(node.func) for node in ast.walk(constructor) if isinstance(node, ast.Call)}
    texts = {"_", "translate", "helpText", "acknowledgementText"}
    assert done <= {"ScriptedLoadableModule.__init__", "callOnceStarted", *texts}
