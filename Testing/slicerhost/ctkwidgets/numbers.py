"""CTK's sliders, spin boxes and ranges.

Defaults, clamping and signals follow the golden lines ``sw ...`` and ``rw ...``. A slider's ``minimum``, ``maximum``
and ``singleStep`` are properties only: ``setMaximum``, ``setRange`` and ``setSingleStep`` cannot be called.
"""

from PySide6 import QtCore, QtWidgets

from ..pythonqt.cpp_widget import cpp_class, stored_property

_MOST_STEPS = 2**30


def _of_spin_box(kind: type, name: str) -> QtCore.Property:
    """A property kept in ``self._spin_box``."""
    return QtCore.Property(
        kind,
        lambda self: getattr(self._spin_box, name),
        lambda self, value: setattr(self._spin_box, name, value),
    )


@cpp_class()
class ctkDoubleSpinBox(QtWidgets.QDoubleSpinBox):
    """QDoubleSpinBox with more decorations."""


@cpp_class("valueChanged(double)", "valueIsChanging(double)")
class ctkSliderWidget(QtWidgets.QWidget):
    """A slider and a spin box for one number."""

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)

    _DEFAULT_MAXIMUM = 99.99

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._value = 0.0
        self._step = 1.0
        self._page_step = 10.0
        self._tracking = True
        self._synchronizing = False
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._spin_box = QtWidgets.QDoubleSpinBox()
        self._spin_box.setMaximum(self._DEFAULT_MAXIMUM)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._spin_box)
        self._update_range()
        self._spin_box.valueChanged.connect(self._on_spin_box)
        self._slider.valueChanged.connect(self._on_slider)

    def setValue(self, value: float) -> None:
        value = min(max(float(value), self._spin_box.minimum), self._spin_box.maximum)
        if value != self._value:
            self._value = value
            self._synchronize()
            self.valueChanged.emit(value)

    def setDecimals(self, decimals: int) -> None:
        self._spin_box.setDecimals(decimals)

    def _on_spin_box(self, value: float) -> None:
        if not self._synchronizing:
            self.setValue(value)

    def _on_slider(self, position: int) -> None:
        if not self._synchronizing:
            self.setValue(self._spin_box.minimum + position * self._step)

    def _set_minimum(self, value: float) -> None:
        self._spin_box.setMinimum(value)
        self._update_range()
        self.setValue(self._value)

    def _set_maximum(self, value: float) -> None:
        self._spin_box.setMaximum(value)
        self._update_range()
        self.setValue(self._value)

    def _set_step(self, value: float) -> None:
        self._step = value
        self._spin_box.setSingleStep(value)
        self._update_range()

    def _update_range(self) -> None:
        steps = round((self._spin_box.maximum - self._spin_box.minimum) / self._step)
        self._synchronizing = True
        self._slider.setRange(0, min(max(1, steps), _MOST_STEPS))
        self._synchronizing = False
        self._synchronize()

    def _synchronize(self) -> None:
        self._synchronizing = True
        self._slider.setValue(round((self._value - self._spin_box.minimum) / self._step))
        self._spin_box.setValue(self._value)
        self._synchronizing = False

    value = QtCore.Property(float, lambda self: self._value, setValue)
    minimum = QtCore.Property(float, lambda self: self._spin_box.minimum, _set_minimum)
    maximum = QtCore.Property(float, lambda self: self._spin_box.maximum, _set_maximum)
    singleStep = QtCore.Property(float, lambda self: self._step, _set_step)
    pageStep = stored_property(float, "_page_step")
    tracking = stored_property(bool, "_tracking")
    decimals = _of_spin_box(int, "decimals")
    prefix = _of_spin_box(str, "prefix")
    suffix = _of_spin_box(str, "suffix")
    spinBoxVisible = _of_spin_box(bool, "visible")


@cpp_class()
class ctkDoubleSlider(ctkSliderWidget):
    """Stands for the slider alone; its widest range ends at 99 (golden line ``ctkDoubleSlider``)."""

    _DEFAULT_MAXIMUM = 99


@cpp_class("valuesChanged(double,double)")
class ctkRangeWidget(QtWidgets.QWidget):
    """Two numbers, the lower never above the upper."""

    valuesChanged = QtCore.Signal(float, float)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._lower = QtWidgets.QDoubleSpinBox()
        self._upper = QtWidgets.QDoubleSpinBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for box in (self._lower, self._upper):
            layout.addWidget(box)
        self.setRange(0, 99)
        self._upper.setValue(99)
        for box in (self._lower, self._upper):
            box.valueChanged.connect(self._emit_values)

    def setValues(self, lower: float, upper: float) -> None:
        self._lower.setValue(lower)
        self._upper.setValue(upper)

    def setRange(self, minimum: float, maximum: float) -> None:
        for box in (self._lower, self._upper):
            box.setRange(minimum, maximum)

    def _emit_values(self, *_changed: float) -> None:
        self.valuesChanged.emit(self._lower.value, self._upper.value)

    def _set_both(self, name: str, value: object) -> None:
        for box in (self._lower, self._upper):
            setattr(box, name, value)

    def _set_lower(self, value: float) -> None:
        self._lower.setValue(min(value, self._upper.value))

    def _set_upper(self, value: float) -> None:
        self._upper.setValue(max(value, self._lower.value))

    minimumValue = QtCore.Property(float, lambda self: self._lower.value, _set_lower)
    maximumValue = QtCore.Property(float, lambda self: self._upper.value, _set_upper)
    minimum = QtCore.Property(float, lambda self: self._lower.minimum, lambda self, v: self._set_both("minimum", v))
    maximum = QtCore.Property(float, lambda self: self._lower.maximum, lambda self, v: self._set_both("maximum", v))
    singleStep = QtCore.Property(
        float, lambda self: self._lower.singleStep, lambda self, v: self._set_both("singleStep", v)
    )
    decimals = QtCore.Property(int, lambda self: self._lower.decimals, lambda self, v: self._set_both("decimals", v))
    suffix = QtCore.Property(str, lambda self: self._lower.suffix, lambda self, v: self._set_both("suffix", v))


@cpp_class()
class ctkDoubleRangeSlider(ctkRangeWidget):
    """Stands for the double slider alone."""
