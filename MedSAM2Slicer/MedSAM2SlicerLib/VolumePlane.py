"""Turn a slice view so that it shows a plane of a volume's own voxels."""

from __future__ import annotations

import numpy as np

from MedSAM2SlicerLib.Geometry import VolumeFrame, viewNormal, vtkMatrix


def rotateToVolumePlane(sliceNode, volumeNode) -> bool:
    """Turn one view to the plane of the volume that Slicer's own command takes for the nearest, through its middle.

    Of sheared axes, as of a tilted gantry, that command takes the direction of an axis for the normal of its slices:
    then the view is turned a little further.

    Returns whether the view shows a plane of the volume now: under a transform that bends it there may be none.
    """
    sliceNode.RotateToVolumePlane(volumeNode)
    if _isAlong(sliceNode, volumeNode):
        return True
    _tilt(sliceNode, _nearestNormal(sliceNode, volumeNode))
    return _isAlong(sliceNode, volumeNode)


def _isAlong(sliceNode, volumeNode) -> bool:
    return VolumeFrame(volumeNode).sliceAxisAlong(viewNormal(sliceNode), _middle(sliceNode)) is not None


def _middle(sliceNode) -> np.ndarray:
    matrix = sliceNode.GetSliceToRAS()
    return np.array([matrix.GetElement(row, 3) for row in range(3)])


def _nearestNormal(sliceNode, volumeNode) -> np.ndarray:
    """Unit normal, in world, of the volume's slices that the view is most parallel to."""
    view = viewNormal(sliceNode)
    normals = VolumeFrame(volumeNode).sliceNormals(_middle(sliceNode))
    nearest = max(normals, key=lambda normal: abs(float(normal @ view)))
    return nearest if nearest @ view > 0 else -nearest


def _tilt(sliceNode, normal: np.ndarray) -> None:
    """Turn the view to this normal, keeping its horizontal as far as that goes."""
    matrix = sliceNode.GetSliceToRAS()
    right = np.array([matrix.GetElement(row, 0) for row in range(3)])
    right = right - (right @ normal) * normal
    right /= np.linalg.norm(right)
    turned = np.eye(4)
    turned[:3, :3] = np.stack([right, np.cross(normal, right), normal], axis=1)
    turned[:3, 3] = _middle(sliceNode)
    if np.linalg.det(_rotation(matrix)) < 0:
        turned[:3, 1] *= -1
    sliceNode.GetSliceToRAS().DeepCopy(vtkMatrix(turned))
    sliceNode.UpdateMatrices()


def _rotation(matrix) -> np.ndarray:
    return np.array([[matrix.GetElement(row, column) for column in range(3)] for row in range(3)])
