"""What is saved with the scene beside the prompts and the segments themselves."""

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class MedSAM2SlicerParameterNode:
    """`model` and `device` are ids of the engine's own lists; "auto" lets the engine choose the device.

    `window` is a choice of IntensityWindow; empty means what fits the volume. `zoom` is one of the protocol's.
    `progressive`: a propagation begins with a first look.
    """

    volume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    segmentId: str = ""
    model: str = "embedded"
    device: str = "auto"
    window: str = ""
    zoom: str = "off"
    direction: str = "both"
    progressive: bool = False
    markedAxis: str = ""
    firstSlice: int = -1
    lastSlice: int = -1
