"""Keeps None, True and False alive on Python before 3.12.

PySide6 6.12 returns them, in many calls, without taking a reference: right since Python 3.12 made them immortal (PEP
683), but on an older one each ``label.setText(...)`` drops one reference of None until the interpreter aborts with
"deallocating None". A count no test run can use up makes them immortal there too.
"""

import ctypes
import sys

_MORE_THAN_ANYBODY_DROPS = 1 << 40


def make_immortal() -> None:
    """Call once, before Qt is used much."""
    if sys.version_info >= (3, 12):
        return
    for singleton in (None, True, False):
        ctypes.c_ssize_t.from_address(id(singleton)).value += _MORE_THAN_ANYBODY_DROPS
