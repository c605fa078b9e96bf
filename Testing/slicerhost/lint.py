"""What a linter cannot know about code that runs in PythonQt.

Each rule is a habit that works in PySide, or looks as if it did, and fails in a real Slicer, silently at worst. The
recorded answer behind it is named as "golden line ``name``" (see ``conformance``).
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import install

QT_MODULES = ("qt", "ctk")
NOT_IN_SLICER = {
    "QRegExp": "Qt 5 only; use QRegularExpression",
    "QTextCodec": "Qt 5 only; use Python's codecs",
    "QDesktopWidget": "Qt 5 only; use QScreen",
    "QThread": "not wrapped by PythonQt; use QProcess",
    "QWebSocket": "not wrapped by PythonQt",
    "QWebSocketServer": "not wrapped by PythonQt",
}
PROPERTIES = frozenset(
    {
        "checked",
        "collapsed",
        "count",
        "currentData",
        "currentIndex",
        "currentNodeID",
        "currentPath",
        "currentText",
        "enabled",
        "height",
        "html",
        "maximum",
        "minimum",
        "plainText",
        "sizeHint",
        "text",
        "title",
        "toolTip",
        "value",
        "visible",
        "width",
        "windowTitle",
    }
)
# What a panel, a form or their parent is called where it is held: `self.ui.x`, `self._ui.x`, `self.widget.x`.
HOLDERS_OF_WIDGETS = frozenset(["ui", "_ui", "uiWidget", "widget", "_widget"])
PROPERTY_ONLY_SETTERS = frozenset(["setCollapsed", "setNodeTypes", "setNoneEnabled"])
UNRETURNABLE = {"fontMetrics": "qt.QFontMetrics(widget.font)", "fontInfo": "qt.QFontInfo(widget.font)"}


@dataclass(frozen=True)
class Finding:
    """One line that breaks a rule."""

    line: int
    rule: str
    message: str


def findings(source: str, known_signals: frozenset[str]) -> list[Finding]:
    """All findings in the text of one module file; ``known_signals`` as ``signals_of_host`` gives them."""
    tree = ast.parse(source)
    found = [
        Finding(node.lineno, rule.__name__, message)
        for node in ast.walk(tree)
        for rule in RULES
        for message in rule(node)
    ]
    found += [
        Finding(node.lineno, unknown_signal.__name__, message)
        for node in ast.walk(tree)
        for message in unknown_signal(node, known_signals)
    ]
    found += [Finding(node.lineno, torch_at_import.__name__, message) for node, message in torch_at_import(tree)]
    return sorted(found, key=lambda finding: finding.line)


def signals_of_host() -> frozenset[str]:
    """The C++ signatures of every signal of every class the host has."""
    install()
    from .pythonqt.classes import qobject_classes
    from .pythonqt.cpp_widget import stand_ins
    from .pythonqt.signals import signatures

    return frozenset().union(*(signatures(cls) for cls in [*qobject_classes(), *stand_ins.values()]))


def other_qt_binding(node: ast.AST) -> Iterator[str]:
    """PySide and PyQt are not in Slicer; ``from qt import`` would hide names from the other rules."""
    for module in _imported_modules(node):
        if module.startswith(("PySide", "PyQt")):
            yield f"{module} is not in Slicer; import qt"
    if isinstance(node, ast.ImportFrom) and node.module in QT_MODULES:
        yield f"import {node.module}, so that its names show where they come from"


def keyword_argument(node: ast.AST) -> Iterator[str]:
    """Constructors take none (golden line ``btn.text kw``)."""
    if isinstance(node, ast.Call) and node.keywords and _is_qt_class(node.func):
        yield f"{ast.unparse(node.func)} takes no keyword arguments in PythonQt"


def scoped_enum(node: ast.AST) -> Iterator[str]:
    """``qt.Qt.Orientation.Horizontal`` is an AttributeError (golden line ``enum scoped``)."""
    parts = _dotted(node)
    if len(parts) == 4 and parts[0] in QT_MODULES and all(part[:1].isupper() for part in parts[1:]):
        yield f"{'.'.join(parts)}: leave out {parts[2]}"


def isinstance_of_qt_class(node: ast.AST) -> Iterator[str]:
    """``isinstance(button, qt.QWidget)`` is False (golden line ``isinstance``)."""
    if isinstance(node, ast.Call) and _dotted(node.func) in (["isinstance"], ["issubclass"]) and len(node.args) == 2:
        classes = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
        for cls in filter(_is_qt_class, classes):
            yield f"isinstance with {ast.unparse(cls)} is False for subclasses; use inherits() or className()"


def not_in_slicer(node: ast.AST) -> Iterator[str]:
    """Golden lines ``qt.QRegExp``, ``qt.QTextCodec``, ``qt.QDesktopWidget``, ``qt.QThread``."""
    parts = _dotted(node)
    if len(parts) == 2 and parts[0] == "qt" and parts[1] in NOT_IN_SLICER:
        yield f"qt.{parts[1]}: {NOT_IN_SLICER[parts[1]]}"


def called_property(node: ast.AST) -> Iterator[str]:
    """``label.text()`` is a TypeError (golden line ``label.text()``).

    Only where the receiver is certainly a widget, ``ui.x`` or ``widget``: the items of lists and tables do have
    ``text()``.
    """
    if isinstance(node, ast.Call) and not node.args and isinstance(node.func, ast.Attribute):
        is_of_widget = HOLDERS_OF_WIDGETS.intersection(_dotted(node.func.value))
        if node.func.attr in PROPERTIES and is_of_widget:
            yield f"{ast.unparse(node.func)} is a property: leave out the parentheses"


def property_only_setter(node: ast.AST) -> Iterator[str]:
    """Golden lines ``ccb.setCollapsed``, ``setNodeTypes callable``, ``setNoneEnabled callable``."""
    if isinstance(node, ast.Attribute) and node.attr in PROPERTY_ONLY_SETTERS:
        name = node.attr[3].lower() + node.attr[4:]
        yield f"{node.attr} cannot be called from Python; assign to {name}"


def unreturnable_value(node: ast.AST) -> Iterator[str]:
    """``widget.fontMetrics()`` is a ValueError; see ``pythonqt.returned``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in UNRETURNABLE:
        yield f"{node.func.attr}() cannot return its value in PythonQt; use {UNRETURNABLE[node.func.attr]}"


def nodes_of_another_scene(node: ast.AST) -> Iterator[str]:
    """``slicer.util.getNodesByClass(name, scene)`` looks in ``slicer.mrmlScene`` all the same."""
    is_call = isinstance(node, ast.Call) and _dotted(node.func)[-2:] == ["util", "getNodesByClass"]
    if is_call and len(node.args) + len(node.keywords) > 1:
        yield "getNodesByClass ignores its scene; ask the scene itself"


def unknown_signal(node: ast.AST, known_signals: frozenset[str]) -> Iterator[str]:
    """A misspelt signal connects to nothing and only returns False (golden line ``connect unknown``)."""
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    if is_call and node.func.attr in ("connect", "disconnect") and node.args:
        signature = getattr(node.args[0], "value", None)
        if isinstance(signature, str) and signature.replace(" ", "") not in known_signals:
            yield f"no class has a signal {signature}"


def torch_at_import(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Slicer imports every module at start-up, with what stands in its ``try``, ``if`` and ``class`` bodies."""
    for statement in _run_at_import(tree):
        for module in _imported_modules(statement):
            if module.partition(".")[0] == "torch":
                yield statement, "torch must not be imported with the module"


RULES: tuple[Callable[[ast.AST], Iterator[str]], ...] = (
    other_qt_binding,
    keyword_argument,
    scoped_enum,
    isinstance_of_qt_class,
    not_in_slicer,
    called_property,
    property_only_setter,
    unreturnable_value,
    nodes_of_another_scene,
)


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Every node but what waits in a function, or is for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and _dotted(child.test)[-1:] == ["TYPE_CHECKING"]:
            yield from _run_at_import(ast.Module(child.orelse, []))
            continue
        yield child
        yield from _run_at_import(child)


def _imported_modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def _dotted(node: ast.AST) -> list[str]:
    """``a.b.c`` as ["a", "b", "c"]; empty for anything else."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value)
        return [*base, node.attr] if base else []
    return []


def _is_qt_class(node: ast.AST) -> bool:
    """``qt.X``, ``ctk.ctkX``, ``slicer.qX``."""
    parts = _dotted(node)
    if len(parts) != 2:
        return False
    return parts[0] in QT_MODULES or (parts[0] == "slicer" and parts[1].startswith(("qMRML", "qSlicer")))
