"""The module as Slicer has built and loaded it; registered with CTest in the CMakeLists.txt beside it."""

import sys
import unittest
from pathlib import Path

import slicer


class InstalledModuleTest(unittest.TestCase):
    def test_slicer_has_loaded_the_module(self):
        self.assertTrue(hasattr(slicer.modules, "medsam2slicer"))

    def test_the_panel_can_be_made(self):
        self.assertIsNotNone(slicer.modules.medsam2slicer.widgetRepresentation())

    def test_loading_it_brings_no_torch_into_slicer(self):
        self.assertNotIn("torch", sys.modules)

    def test_engine_and_checkpoint_lie_beside_the_module(self):
        folder = Path(slicer.modules.medsam2slicer.path).parent
        for shipped in ("medsam2_engine/__main__.py", "Resources/Models/embedded/model.safetensors"):
            self.assertTrue((folder / shipped).is_file(), shipped)
