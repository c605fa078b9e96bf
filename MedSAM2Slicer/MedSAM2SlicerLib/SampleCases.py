"""Volumes to try the module on, in Slicer's Sample Data module: public data of the Slicer project, checked by SHA-256.

Nothing is downloaded here; the user does that with a click in Sample Data. Call `registerSampleCases` once Slicer has
started, when the Sample Data module is there. Where there is none it does nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

CATEGORY = "MedSAM2Slicer"
SERVER = "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/"


@dataclass(frozen=True)
class SampleCase:
    """One volume. `node` is its name in the scene, `thumbnail` a file among the module's icons."""

    name: str
    node: str
    file: str
    sha256: str
    thumbnail: str

    @property
    def url(self) -> str:
        return SERVER + self.sha256


# Files and digests as Slicer's own Sample Data module has them; the tutorial uses the first.
SAMPLE_CASES = (
    SampleCase(
        "MedSAM2 Brain tumour MR",
        "MRBrainTumor1",
        "RegLib_C01_1.nrrd",
        "998cb522173839c78657f4bc0ea907cea09fd04e44601f17c82ea27927937b95",
        "SampleBrain.png",
    ),
    SampleCase(
        "MedSAM2 Liver CT",
        "CTLiver",
        "CTLiver.nrrd",
        "e16eae0ae6fefa858c5c11e58f0f1bb81834d81b7102e021571056324ef6f37e",
        "SampleLiver.png",
    ),
    SampleCase(
        "MedSAM2 Chest CT",
        "CTChest",
        "CT-chest.nrrd",
        "4507b664690840abb6cb9af2d919377ffc4ef75b167cb6fd0f747befdb12e38e",
        "SampleChest.png",
    ),
)


def registerSampleCases(iconsFolder: str) -> bool:
    """Add the cases to the Sample Data module; a second time changes nothing. Returns whether there is one."""
    try:
        from SampleData import SampleDataLogic
    except ImportError:
        return False
    for case in SAMPLE_CASES:
        SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=case.name,
            uris=case.url,
            fileNames=case.file,
            nodeNames=case.node,
            thumbnailFileName=os.path.join(iconsFolder, case.thumbnail),
            loadFileTypes="VolumeFile",
            checksums=f"SHA256:{case.sha256}",
        )
    return True
