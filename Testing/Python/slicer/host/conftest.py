"""Nouns of the host's own tests. Geometry is oblique, flipped and anisotropic: symmetric data hides axis bugs."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def ijk_to_ras():
    """(4, 4), millimetres: rotated about two axes, three different spacings, and left-handed."""
    about_z, about_x = np.deg2rad(20), np.deg2rad(15)
    rotation_z = np.array([[np.cos(about_z), -np.sin(about_z), 0], [np.sin(about_z), np.cos(about_z), 0], [0, 0, 1]])
    rotation_x = np.array([[1, 0, 0], [0, np.cos(about_x), -np.sin(about_x)], [0, np.sin(about_x), np.cos(about_x)]])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_z @ rotation_x @ np.diag([-1.5, 1.2, 3.0])
    matrix[:3, 3] = [-10, 20, 30]
    return matrix


@pytest.fixture
def voxels_kji():
    """(20, 48, 40) int16: noise around 100 and a bright box."""
    voxels = np.random.default_rng(0).normal(100, 10, (20, 48, 40)).astype(np.int16)
    voxels[5:15, 10:30, 12:28] += 200
    return voxels


@pytest.fixture
def a_volume(scene, voxels_kji, ijk_to_ras):
    import slicer

    volume = slicer.util.addVolumeFromArray(voxels_kji, ijkToRAS=ijk_to_ras, name="a volume")
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return volume


@pytest.fixture
def mask_kji(voxels_kji):
    return (voxels_kji > 200).astype(np.uint8)


@pytest.fixture
def a_segmentation_node(scene, a_volume, mask_kji):
    """One segment ``tumor`` with ``mask_kji``."""
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "a segmentation")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(a_volume)
    node.GetSegmentation().AddEmptySegment("tumor", "Tumor", [1, 0, 0])
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask_kji, node, "tumor", a_volume)
    return node
