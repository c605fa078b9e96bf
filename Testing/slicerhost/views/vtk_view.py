"""A Qt widget around an offscreen VTK window: what ctkVTKAbstractView gives to Python.

Renderers, displayable managers and interactor styles are Slicer's own. Home-made is only this widget: it shows the
rendered picture and passes Qt's mouse and key events to the VTK interactor, as VTK's own Qt adapter does. So a
``QTest.mouseClick`` on the view places a markup for real.
"""

from typing import Any

import numpy
import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from vtkmodules.util.numpy_support import vtk_to_numpy

from ..pythonqt.cpp_widget import cpp_class

_BUTTONS = {
    QtCore.Qt.MouseButton.LeftButton: "Left",
    QtCore.Qt.MouseButton.RightButton: "Right",
    QtCore.Qt.MouseButton.MiddleButton: "Middle",
}
_KEY_NAMES = {
    QtCore.Qt.Key.Key_Escape: "Escape",
    QtCore.Qt.Key.Key_Delete: "Delete",
    QtCore.Qt.Key.Key_Backspace: "BackSpace",
    QtCore.Qt.Key.Key_Return: "Return",
    QtCore.Qt.Key.Key_Enter: "Return",
    QtCore.Qt.Key.Key_Space: "space",
    QtCore.Qt.Key.Key_Left: "Left",
    QtCore.Qt.Key.Key_Right: "Right",
    QtCore.Qt.Key.Key_Up: "Up",
    QtCore.Qt.Key.Key_Down: "Down",
    QtCore.Qt.Key.Key_Shift: "Shift_L",
    QtCore.Qt.Key.Key_Control: "Control_L",
    QtCore.Qt.Key.Key_Alt: "Alt_L",
}
_WHEEL_NOTCH = 120


@cpp_class()
class ctkVTKAbstractView(QtWidgets.QWidget):
    """Base of the slice and 3D views."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._pause_count = 0
        self._needs_render = True
        self._picture: QtGui.QImage | None = None
        self._wheel = 0
        self._renderer = vtk.vtkRenderer()
        self._render_window = vtk.vtkRenderWindow()
        self._render_window.SetOffScreenRendering(1)
        self._render_window.SetMultiSamples(0)  # antialiasing costs a software renderer ten times the time
        self._render_window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._render_window)
        self._interactor.SetEnableRender(False)
        self._interactor.Initialize()
        self._corner_annotation = vtk.vtkCornerAnnotation()
        self._renderer.AddViewProp(self._corner_annotation)
        self._managers = slicer.vtkMRMLDisplayableManagerGroup()
        self._managers.AddObserver(vtk.vtkCommand.UpdateEvent, lambda *_: self.scheduleRender())
        self._render_timer = QtCore.QTimer(self)
        self._render_timer.setSingleShot(True)
        self._render_timer.setInterval(0)
        self._render_timer.timeout.connect(self._on_render_due)
        self.setMouseTracking(True)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)

    def renderWindow(self) -> Any:
        return self._render_window

    def interactor(self) -> Any:
        return self._interactor

    def interactorStyle(self) -> Any:
        return self._interactor.GetInteractorStyle()

    def cornerAnnotation(self) -> Any:
        return self._corner_annotation

    def displayableManagerByClassName(self, name: str) -> Any:
        return self._managers.GetDisplayableManagerByClassName(name)

    def getDisplayableManagers(self, collection: Any) -> None:
        for index in range(self._managers.GetDisplayableManagerCount()):
            collection.AddItem(self._managers.GetNthDisplayableManager(index))

    def scheduleRender(self) -> None:
        """Render when Qt's loop is idle next; any number of calls make one render."""
        self._needs_render = True
        if not self._render_timer.isActive():
            self._render_timer.start()

    def forceRender(self) -> None:
        self._render_window.Render()
        self._needs_render = False
        self._picture = None
        self.update()

    def pauseRender(self) -> int:
        self._pause_count += 1
        return self._pause_count

    def resumeRender(self) -> int:
        self._pause_count -= 1
        if not self._pause_count and self._needs_render:
            self.scheduleRender()
        return self._pause_count

    def setRenderPaused(self, paused: bool) -> int:
        return self.pauseRender() if paused else self.resumeRender()

    def isRenderPaused(self) -> bool:
        return self._pause_count > 0

    def setViewCursor(self, cursor: QtGui.QCursor) -> None:
        self.setCursor(cursor)

    def unsetViewCursor(self) -> None:
        self.unsetCursor()

    def setDefaultViewCursor(self, cursor: QtGui.QCursor) -> None:
        self.setCursor(cursor)

    def hostPixels(self) -> numpy.ndarray:
        """The picture as (height, width, 3) uint8, top row first. Not in Slicer: for tests that look at a view."""
        if self._needs_render:
            self.forceRender()
        return self._pixels()

    def _pixels(self) -> numpy.ndarray:
        """What was rendered last."""
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self._render_window)
        grabber.ReadFrontBufferOff()
        grabber.ShouldRerenderOff()
        grabber.Update()
        image = grabber.GetOutput()
        width, height, _ = image.GetDimensions()
        pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)
        return numpy.ascontiguousarray(pixels[::-1, :, :3])

    def _initialize_managers(self, factory: Any, names: list[str], application_logic: Any) -> None:
        factory.SetMRMLApplicationLogic(application_logic)
        for name in names:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._managers.Initialize(factory, self._renderer)

    def _on_render_due(self) -> None:
        if self.isVisible() and not self._pause_count:
            self.forceRender()

    def _on_resized(self, width: int, height: int) -> None:
        """Hook of the derived views."""

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        width, height = max(2, event.size().width()), max(2, event.size().height())
        self._render_window.SetSize(width, height)
        self._interactor.UpdateSize(width, height)
        self._interactor.ConfigureEvent()
        self._on_resized(width, height)
        self.scheduleRender()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        if self._needs_render and not self._pause_count:
            self.forceRender()
        if self._picture is None:
            pixels = self._pixels()
            height, width, _ = pixels.shape
            rgb = QtGui.QImage.Format.Format_RGB888
            self._picture = QtGui.QImage(pixels.data, width, height, 3 * width, rgb).copy()
        QtGui.QPainter(self).drawImage(0, 0, self._picture)

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        self._send_mouse(event, "MouseMoveEvent")

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        self._arrive(event)
        self._send_mouse(event, _BUTTONS[event.button()] + "ButtonPressEvent")

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        self._arrive(event)
        self._send_mouse(event, _BUTTONS[event.button()] + "ButtonReleaseEvent")

    def mouseDoubleClickEvent(self, event: QtGui.QMouseEvent) -> None:
        self._send_mouse(event, _BUTTONS[event.button()] + "ButtonDoubleClickEvent", repeat=1)

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        self._set_event(event, 0)
        self._wheel += event.angleDelta().y()
        if abs(self._wheel) >= _WHEEL_NOTCH:
            self._interactor.InvokeEvent("MouseWheelForwardEvent" if self._wheel > 0 else "MouseWheelBackwardEvent")
            self._wheel = 0

    def enterEvent(self, event: QtGui.QEnterEvent) -> None:
        self._interactor.InvokeEvent("EnterEvent")

    def leaveEvent(self, event: QtCore.QEvent) -> None:
        self._interactor.InvokeEvent("LeaveEvent")

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:
        self._send_key(event, "KeyPressEvent")
        if event.text():
            self._interactor.InvokeEvent("CharEvent")

    def keyReleaseEvent(self, event: QtGui.QKeyEvent) -> None:
        self._send_key(event, "KeyReleaseEvent")

    def _arrive(self, event: QtGui.QMouseEvent) -> None:
        """A real mouse moves to where it is pressed; QTest presses anywhere."""
        if self._interactor.GetEventPosition() != self._position(event):
            self._send_mouse(event, "MouseMoveEvent")

    def _send_mouse(self, event: QtGui.QMouseEvent, name: str, repeat: int = 0) -> None:
        self._set_event(event, repeat)
        self._interactor.InvokeEvent(name)

    def _set_event(self, event: Any, repeat: int) -> None:
        x, y = self._position(event)
        control, shift, alt = self._modifiers(event)
        self._interactor.SetEventInformation(x, y, control, shift, "\0", repeat, None)
        self._interactor.SetAltKey(alt)

    def _send_key(self, event: QtGui.QKeyEvent, name: str) -> None:
        control, shift, alt = self._modifiers(event)
        text = event.text()
        character = text if len(text) == 1 and ord(text) < 128 else "\0"
        key_name = _KEY_NAMES.get(QtCore.Qt.Key(event.key()), text or "None")
        self._interactor.SetKeyEventInformation(control, shift, character, event.count(), key_name)
        self._interactor.SetAltKey(alt)
        self._interactor.InvokeEvent(name)

    def _position(self, event: Any) -> tuple:
        """VTK counts rows from the bottom."""
        position = event.position()
        return int(position.x()), self._render_window.GetSize()[1] - 1 - int(position.y())

    @staticmethod
    def _modifiers(event: Any) -> tuple:
        keys = QtCore.Qt.KeyboardModifier
        held = event.modifiers()
        return tuple(int(bool(held & key)) for key in (keys.ControlModifier, keys.ShiftModifier, keys.AltModifier))

    cornerAnnotationText = QtCore.Property(
        str,
        lambda self: self._corner_annotation.GetText(2) or "",
        lambda self, text: self._corner_annotation.SetText(2, text),
    )
