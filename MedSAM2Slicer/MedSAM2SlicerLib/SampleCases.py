"""Volumes to try the module on, in Slicer's Sample Data module: public, small, and checked by SHA-256.

Nothing is downloaded here; the user does that with a click in Sample Data. Call `registerSampleCases` once Slicer has
started, when the Sample Data module is there. Where there is none it does nothing.

The sarcoma is patient 002 of the Soft-tissue-Sarcoma collection of The Cancer Imaging Archive, cropped around the
tumour by the Image Biomarker Standardisation Initiative (CC BY 3.0; Vallières et al., 2015,
doi:10.7937/K9/TCIA.2015.7GO2GSKS).
The other volumes are those of the Slicer project, with the digests of its own Sample Data module.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

CATEGORY = "MedSAM2Slicer"
SLICER = "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/{sha256}"
SARCOMA = (
    "https://raw.githubusercontent.com/theibsi/data_sets/6da96021bc91faf4c0cb7fd7fa56a4225d2064a8"
    "/ibsi_validation/nifti/STS_002/"
)


@dataclass(frozen=True)
class SampleCase:
    """One volume. `node` is its name in the scene, `file` the one it is kept as, `thumbnail` one of our icons."""

    name: str
    node: str
    file: str
    url: str
    sha256: str
    thumbnail: str


TUTORIAL_CASE = SampleCase(
    "MedSAM2 Sarcoma CT",
    "SarcomaCT",
    "STS_002_CT.nii.gz",
    f"{SARCOMA}CT_image.nii.gz",
    "9f8a7676fc019abb9a1137bf3a31f87ed822fc2be211b141caf54b4fba5ac422",
    "SampleThigh.png",
)
SAMPLE_CASES = (
    TUTORIAL_CASE,
    SampleCase(
        "MedSAM2 Sarcoma MR",
        "SarcomaMR",
        "STS_002_MR.nii.gz",
        f"{SARCOMA}MR_T1_image.nii.gz",
        "30f6cc14233abb9084794ea818e6c69c77b0cf09453b65cbe15c9e5f1d0fe056",
        "SampleThigh.png",
    ),
    SampleCase(
        "MedSAM2 Sarcoma PET",
        "SarcomaPET",
        "STS_002_PET.nii.gz",
        f"{SARCOMA}PET_image.nii.gz",
        "d0e070f1e88c48f3ffdefa5ec7a91a3df72c62d6d84e2a32a8575ea2f94ebbbb",
        "SampleThigh.png",
    ),
    SampleCase(
        "MedSAM2 Brain tumour MR",
        "MRBrainTumor1",
        "RegLib_C01_1.nrrd",
        SLICER,
        "998cb522173839c78657f4bc0ea907cea09fd04e44601f17c82ea27927937b95",
        "SampleBrain.png",
    ),
    SampleCase(
        "MedSAM2 Liver CT",
        "CTLiver",
        "CTLiver.nrrd",
        SLICER,
        "e16eae0ae6fefa858c5c11e58f0f1bb81834d81b7102e021571056324ef6f37e",
        "SampleLiver.png",
    ),
    SampleCase(
        "MedSAM2 Chest CT",
        "CTChest",
        "CT-chest.nrrd",
        SLICER,
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
    if hasattr(SampleDataLogic, "registerCustomSampleDataCategory"):  # not before Slicer 5.12
        SampleDataLogic.registerCustomSampleDataCategory(CATEGORY, title=CATEGORY)
    for case in SAMPLE_CASES:
        SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=case.name,
            uris=case.url.format(sha256=case.sha256),
            fileNames=case.file,
            nodeNames=case.node,
            thumbnailFileName=os.path.join(iconsFolder, case.thumbnail),
            loadFileTypes="VolumeFile",
            checksums=f"SHA256:{case.sha256}",
        )
    return True
