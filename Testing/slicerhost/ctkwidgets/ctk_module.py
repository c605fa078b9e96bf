"""Builds the module ``ctk``: home-made stand-ins for the CTK widgets a module panel uses.

They were written from CTK's documentation and headers, and checked against what the real ones answered (``golden``
lines, see ``conformance``). A widget that is missing fails loudly, as an AttributeError or in the .ui loader.
"""

import types

from ..pythonqt.cpp_widget import stand_ins
from . import collapsible, numbers, paths, plain, settings  # noqa: F401  (declare the stand-ins)


def build() -> types.ModuleType:
    """The module ``ctk``."""
    ctk = types.ModuleType("ctk", __doc__)
    ctk.__dict__.update({name: cls for name, cls in stand_ins.items() if name.startswith("ctk")})
    ctk.ctkWidgetsUtils = plain.ctkWidgetsUtils
    ctk.ctkErrorLogLevel = plain.ctkErrorLogLevel
    return ctk
