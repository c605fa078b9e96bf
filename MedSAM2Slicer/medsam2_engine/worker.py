"""The worker: requests in on stdin, events out on stdout, one model doing one thing at a time.

Threads. A reader thread takes every line as it comes: it queues requests, notes cancellations and answers pings at
once, so that a busy worker still shows that it lives. The main thread works through the queue in order. Both write
lines; the lock in `LineWriter` keeps them whole. Nothing else is shared but the set of cancelled ids, which only the
main thread shrinks.

Lifetime. The worker ends with its host: when stdin closes, or when the host's process is gone (`--parent-pid`), it
exits at once, in the middle of whatever it does. There is nothing to save; the scene is the truth.

stdout belongs to the protocol. `main` takes it away before anything else is imported: what any library prints lands on
stderr.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Serve until stdin closes. `argv`: ["--parent-pid", PID] or nothing."""
    lines_out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from medsam2_engine.quiet_threads import quiet_waiting

    quiet_waiting(os.environ)
    from medsam2_engine.service import serve  # only now: an import may print, and torch reads the environment

    return serve(sys.stdin.buffer, lines_out, _parent_pid(argv))


def _parent_pid(argv: Sequence[str]) -> int | None:
    return int(argv[argv.index("--parent-pid") + 1]) if "--parent-pid" in argv else None
