"""What does PythonQt do with Qt's classes? 150 questions about ``qt``; see ``answers`` for how to run them."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import qt
from answers import Answers, after, assigned

Ask = Callable[[str, Callable[[], Any]], None]


def ask_all(ask: Ask) -> None:
    labels(ask)
    button = buttons(ask)
    derived_classes(ask)
    slider = numbers(ask)
    label = combo_and_check_boxes(ask)
    texts_and_layouts(ask)
    process = qt.QProcess()
    enums(ask, button, label, process)
    heard: list[Any] = []
    connections(ask, button, slider, label, heard)
    processes(ask, process)
    timers(ask)
    items(ask)
    children_and_properties(ask, button, label)
    values_and_names(ask, button)


def labels(ask: Ask) -> None:
    label = qt.QLabel("a")
    ask("label.text", lambda: label.text)
    ask("label.text()", lambda: label.text())
    ask("label.setText", lambda: (label.setText("q"), label.text))
    ask("label.text=int", lambda: assigned(label, "text", 3))
    ask("label.text=None", lambda: assigned(label, "text", None))
    ask("label.setText(None)", lambda: label.setText(None))
    ask("label.text=3.5", lambda: assigned(label, "text", 3.5))


def buttons(ask: Ask) -> Any:
    button = qt.QPushButton("x")
    ask("btn.enabled", lambda: button.enabled)
    ask("btn.isEnabled()", lambda: button.isEnabled())
    ask("btn.enabled=0", lambda: assigned(button, "enabled", 0))
    ask("btn.enabled=None", lambda: assigned(button, "enabled", None))
    ask("btn.enabled='x'", lambda: assigned(button, "enabled", "x"))
    ask("btn.enabled=[]", lambda: assigned(button, "enabled", []))
    ask("btn.enabled=obj", lambda: assigned(button, "enabled", object()))
    button.enabled = True
    ask("btn.checked", lambda: button.checked)
    ask("btn.isChecked()", lambda: button.isChecked())
    ask("btn.checkable", lambda: assigned(button, "checkable", True))
    ask("btn.toolTip", lambda: assigned(button, "toolTip", "tt"))
    ask("btn.name", lambda: assigned(button, "name", "nn"))
    ask("btn.objectName", lambda: button.objectName)
    ask("btn.className()", lambda: button.className())
    ask("btn.visible", lambda: button.visible)
    ask("btn.isVisible()", lambda: button.isVisible())
    ask("btn.foo=1", lambda: assigned(button, "foo", 1))
    ask("btn.clicked=1", lambda: assigned(button, "clicked", 1))
    ask("btn.setText=1", lambda: assigned(button, "setText", 1))
    ask("btn.nope", lambda: button.nope)
    ask("btn.maximumHeight=30", lambda: assigned(button, "maximumHeight", 30))
    ask("btn.styleSheet", lambda: assigned(button, "styleSheet", "color:red"))
    ask("btn.width", lambda: type(button.width).__name__)
    ask("btn.size", lambda: type(button.size).__name__)
    ask("btn.text kw", lambda: qt.QPushButton(text="k"))
    ask("btn.parent()", lambda: button.parent())
    ask("btn.windowTitle", lambda: assigned(button, "windowTitle", "wt"))
    return button


def derived_classes(ask: Ask) -> None:
    class Derived(qt.QWidget):
        def __init__(self) -> None:
            qt.QWidget.__init__(self)
            self.foo = 2

    ask("derived.foo", lambda: Derived().foo)


def numbers(ask: Ask) -> Any:
    spin_box, double_box, slider, progress = qt.QSpinBox(), qt.QDoubleSpinBox(), qt.QSlider(), qt.QProgressBar()
    ask("sp.value", lambda: spin_box.value)
    ask("sp.value()", lambda: spin_box.value())
    ask("sp.value=7.6", lambda: assigned(spin_box, "value", 7.6))
    ask("sp.setValue(5.7)", lambda: (spin_box.setValue(5.7), spin_box.value))
    ask("sp.value='8'", lambda: assigned(spin_box, "value", "8"))
    ask("d.value=2", lambda: assigned(double_box, "value", 2))
    ask("d.decimals", lambda: double_box.decimals)
    ask("s.value='9'", lambda: assigned(slider, "value", "9"))
    ask("s.maximum=10.0", lambda: assigned(slider, "maximum", 10.0))
    ask("pb.value=50.4", lambda: assigned(progress, "value", 50.4))
    ask("pb.value None", lambda: assigned(progress, "value", None))
    return slider


def combo_and_check_boxes(ask: Ask) -> Any:
    combo, check = qt.QComboBox(), qt.QCheckBox("c")
    ask("co.addItems", lambda: combo.addItems(["a", "b", "c"]))
    ask("co.count", lambda: combo.count)
    ask("co.currentText", lambda: combo.currentText)
    ask("co.currentText='b'", lambda: assigned(combo, "currentText", "b"))
    ask("co.currentIndex", lambda: combo.currentIndex)
    ask("co.currentData", lambda: combo.currentData)
    ask("co.currentData()", lambda: combo.currentData())
    ask("co.itemData", lambda: combo.itemData(0))
    ask("co.addItem data", lambda: after(combo.addItem("d", {"k": 1}), combo.itemData(3)))
    ask("co.itemText", lambda: combo.itemText(0))
    ask("co.findText", lambda: combo.findText("c"))
    ask("cb.checkState()", lambda: check.checkState())
    ask("cb.checkState", lambda: type(check.checkState).__name__ != "x")
    ask("cb.setCheckState(2)", lambda: (check.setCheckState(2), check.checked))
    ask("cb.setCheckState(qt.Qt.Unchecked)", lambda: (check.setCheckState(qt.Qt.Unchecked), check.checked))
    return qt.QLabel("a")


def texts_and_layouts(ask: Ask) -> None:
    text, plain, group, widget = qt.QTextEdit(), qt.QPlainTextEdit(), qt.QGroupBox("g"), qt.QWidget()
    ask("te.plainText", lambda: assigned(text, "plainText", "x"))
    ask("te.toPlainText()", lambda: text.toPlainText())
    ask("te.html", lambda: isinstance(text.html, str))
    ask("pte.plainText", lambda: assigned(plain, "plainText", "y"))
    ask("te.readOnly", lambda: assigned(text, "readOnly", True))
    ask("g.title", lambda: group.title)
    ask("w.layout()", lambda: widget.layout())
    ask("w.setLayout", lambda: (widget.setLayout(qt.QVBoxLayout()), type(widget.layout()).__name__))
    ask("layout.count()", lambda: widget.layout().count())
    ask("layout.count", lambda: type(widget.layout().count).__name__ == "int")
    ask("layout.spacing", lambda: isinstance(widget.layout().spacing, int))
    ask("layout.setContentsMargins", lambda: widget.layout().setContentsMargins(1, 2, 3, 4))
    ask("form.addRow", lambda: qt.QFormLayout().addRow("a", qt.QLabel("b")))


def enums(ask: Ask, button: Any, label: Any, process: Any) -> None:
    ask("enum int", lambda: int(qt.Qt.Horizontal))
    ask("enum ==", lambda: qt.Qt.Horizontal == 1)
    ask("enum |", lambda: int(qt.QMessageBox.Ok | qt.QMessageBox.Cancel))
    ask("enum scoped", lambda: int(qt.Qt.Orientation.Horizontal))
    ask("enum inst", lambda: int(process.NotRunning))
    ask("orientation prop", lambda: qt.QSlider(qt.Qt.Horizontal).orientation)
    ask("alignment", lambda: int(label.alignment))
    ask("alignment=", lambda: assigned(label, "alignment", qt.Qt.AlignCenter))
    ask("sizePolicy", lambda: button.setSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Fixed))
    ask("dir(enum in str)", lambda: str(qt.Qt.Horizontal))
    ask("True==Ok", lambda: qt.QMessageBox.Ok == True)  # noqa: E712  (that is the question)


def connections(ask: Ask, button: Any, slider: Any, label: Any, heard: list[Any]) -> None:
    ask("connect clicked()", lambda: button.connect("clicked()", lambda: heard.append("c0")))
    ask("connect clicked(bool)", lambda: button.connect("clicked(bool)", lambda on: heard.append(("cb", on))))
    ask("sig.connect", lambda: button.clicked.connect(lambda: heard.append("s0")))
    ask("sig.connect arg", lambda: button.clicked.connect(lambda on: heard.append(("s1", on))))
    ask("sig.connect default", lambda: button.clicked.connect(lambda on=5: heard.append(("s2", on))))
    ask("sig.connect *a", lambda: button.clicked.connect(lambda *all_of_it: heard.append(("s3", *all_of_it))))
    button.checkable = False
    button.click()
    ask("click order", lambda: heard)
    ask("connect unknown", lambda: button.connect("clickd()", lambda: 0))
    ask("connect wrongsig", lambda: button.connect("clicked(int)", lambda: 0))
    ask("connect spaces", lambda: button.connect("clicked( bool )", lambda: 0))
    ask("connect noncallable", lambda: button.connect("clicked()", 3))
    heard.clear()
    ask("disconnect f", lambda: _connected_then_not(slider, heard))
    edit = qt.QLineEdit("b")
    ask("connect to slot", lambda: _through_a_slot(edit, label))
    ask("emit via call", lambda: button.clicked())
    ask("sig.emit", lambda: button.clicked.emit(True))
    ask("exc in slot", lambda: _with_a_failing_slot(button))
    ask("blockSignals", lambda: button.blockSignals(True))
    ask("blockSignals ret", lambda: button.blockSignals(False))


def _connected_then_not(slider: Any, heard: list[Any]) -> list[Any]:
    def slot(value: int) -> None:
        heard.append(value)

    slider.connect("valueChanged(int)", slot)
    slider.value = 1
    slider.disconnect("valueChanged(int)", slot)
    slider.value = 2
    return list(heard)


def _through_a_slot(edit: Any, label: Any) -> str:
    edit.connect("textChanged(QString)", label, "setText(QString)")
    edit.text = "slot!"
    return label.text


def _with_a_failing_slot(button: Any) -> str:
    def fail() -> None:
        raise RuntimeError("in slot")

    button.connect("pressed()", fail)
    button.pressed.emit() if hasattr(button.pressed, "emit") else button.pressed()
    return "went on"


def processes(ask: Ask, process: Any) -> None:
    heard: list[Any] = []
    process.connect("readyReadStandardOutput()", lambda: heard.append(process.readAllStandardOutput().data()))
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: heard.append((code, int(status))))
    ask("proc.start", lambda: process.start("/bin/sh", ["-c", "echo hi; exit 3"]))
    ask("proc.waitForFinished", lambda: process.waitForFinished(3000))
    for _ in range(3):
        qt.QApplication.processEvents()
        time.sleep(0.005)
    ask("proc.out", lambda: heard)
    ask("proc.state()", lambda: process.state())
    ask("proc.exitCode()", lambda: process.exitCode())
    ask("proc.write str", lambda: qt.QProcess().write("abc"))
    ask("proc.write bytes", lambda: qt.QProcess().write(b"abc"))
    ask("bytearray.data()", lambda: qt.QByteArray(b"xy").data())
    ask("bytearray str", lambda: qt.QByteArray("xy").data())
    ask("QProcessEnvironment", lambda: qt.QProcessEnvironment.systemEnvironment().contains("PATH"))


def timers(ask: Ask) -> None:
    timer = qt.QTimer()
    ask("timer.interval", lambda: assigned(timer, "interval", 15))
    ask("timer.singleShot=", lambda: after(setattr(timer, "singleShot", True), timer.isSingleShot()))
    ask("timer.active", lambda: timer.active)
    ask("timer.isActive()", lambda: timer.isActive())
    ask("timer.connect", lambda: timer.connect("timeout()", lambda: None))
    ask("QTimer.singleShot static", lambda: callable(qt.QTimer.singleShot))


def items(ask: Ask) -> None:
    items, table = qt.QListWidget(), qt.QTableWidget()
    ask("lw", lambda: after(items.addItem("i"), items.count))
    ask("lw.count()", lambda: items.count())
    ask("tw.rowCount", lambda: assigned(table, "rowCount", 2))
    ask("tw.setItem", lambda: _item_text(table))
    ask("item.checkState", lambda: int(qt.QTableWidgetItem("z").checkState()))


def _item_text(table: Any) -> str:
    table.columnCount = 1
    table.setItem(0, 0, qt.QTableWidgetItem("z"))
    return table.item(0, 0).text()


def children_and_properties(ask: Ask, button: Any, label: Any) -> None:
    widget = qt.QWidget()
    widget.setLayout(qt.QVBoxLayout())
    ask("findChildren", lambda: len(widget.findChildren(qt.QWidget)))
    ask("children()", lambda: type(widget.children()).__name__)
    kept = []

    def add_child() -> str:
        child = qt.QLabel("kid", widget)
        child.name = "kid1"
        kept.append(child)
        return widget.findChild(qt.QLabel, "kid1").text

    ask("child attr", add_child)
    ask("child by name", lambda: widget.kid1.text)
    ask("property()", lambda: button.property("text"))
    ask("setProperty dyn", lambda: after(button.setProperty("dyn", 5), button.property("dyn")))
    ask("dyn attr read", lambda: button.dyn)
    ask("dyn attr write", lambda: assigned(button, "dyn", 6))
    ask("inherits", lambda: button.inherits("QWidget"))
    ask("isinstance", lambda: isinstance(button, qt.QWidget))
    ask("eq", lambda: button == button)
    ask("in list", lambda: button in [label, button])
    ask("delete()", lambda: qt.QLabel("x").delete())
    ask("deleteLater", lambda: qt.QLabel("x").deleteLater())


def values_and_names(ask: Ask, button: Any) -> None:
    settings_file = os.path.join(tempfile.mkdtemp(), "s.ini")
    folder = tempfile.gettempdir()

    def settings() -> Any:
        return qt.QSettings(settings_file, qt.QSettings.IniFormat)

    ask("QSettings", lambda: after(settings().setValue("a", True), settings().value("a")))
    ask("QSettings default", lambda: settings().value("zz", 4))
    ask("QColor", lambda: qt.QColor(1, 2, 3).red())
    ask("QColor eq", lambda: qt.QColor(1, 2, 3) == qt.QColor(1, 2, 3))
    ask("QSize", lambda: qt.QSize(3, 4).width())
    ask("QDir", lambda: qt.QDir(folder).exists())
    ask("QFileInfo", lambda: qt.QFileInfo("a.txt").suffix())
    ask("QIcon", lambda: qt.QIcon().isNull())
    ask("QFont", lambda: after(button.font.pointSize(), 1))
    ask("QApplication.instance", lambda: qt.QApplication.instance() is not None)
    ask("qt.QRegExp", lambda: qt.QRegExp("a"))
    ask("qt.QTextCodec", lambda: qt.QTextCodec.codecForName("UTF-8"))
    ask("qt.QRegularExpression", lambda: qt.QRegularExpression("a").isValid())
    ask("qt.QDesktopWidget", lambda: qt.QDesktopWidget is not None)
    ask("QDialog.exec_", lambda: callable(qt.QDialog().exec_))
    ask("QDialog.exec", lambda: callable(qt.QDialog().exec))
    ask("QAction", lambda: qt.QAction("a").text)
    ask("qt.Signal", lambda: qt.Signal is not None)
    ask("qt.Slot", lambda: qt.Slot is not None)
    ask("qt.QLocalSocket", lambda: qt.QLocalSocket is not None)
    ask("qt.QUdpSocket", lambda: qt.QUdpSocket is not None)
    ask("qt.QTemporaryDir", lambda: qt.QTemporaryDir().isValid())
    ask("qt.QThread", lambda: qt.QThread.currentThread() is not None)
    ask("qt.QUiLoader", lambda: qt.QUiLoader is not None)
    ask("qt.QElapsedTimer", lambda: qt.QElapsedTimer is not None)
    ask("qt.qVersion", lambda: isinstance(qt.qVersion(), str))


if __name__ == "__main__":
    answers = Answers()
    ask_all(answers.ask)
    sys.stdout.write(answers.lines())
