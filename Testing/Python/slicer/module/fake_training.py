"""Stands for `medsam2 finetune`: it says the same lines and does as `behaviour.json` beside the cases' folder tells.

{"mode": "normal"}     one line a step until the steps are done; ends early when standard input ends
{"mode": "refuse", "code": ..., "text": ...}
{"mode": "die"}        killed after two steps, as by a system that is out of memory
{"mode": "deaf"}       goes on although its standard input has ended
{"mode": "fail", "text": ...}  a sentence for people only
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

INTERRUPTED = 130


def say(**facts):
    print(json.dumps(facts), flush=True)


def option(name):
    return sys.argv[sys.argv.index(name) + 1]


def main():
    output = Path(option("--output"))
    behaviour = json.loads((output.parents[1] / "behaviour.json").read_text())
    with (output.parents[1] / "calls.jsonl").open("a") as file:
        file.write(json.dumps(sys.argv[1:]) + "\n")
    if behaviour["mode"] == "refuse":
        say(end=behaviour["code"], text=behaviour["text"])
        print(f"medsam2: {behaviour['text']}", file=sys.stderr)
        return 4
    if behaviour["mode"] == "fail":
        print(f"medsam2: {behaviour['text']}", file=sys.stderr)
        return 1
    return train(output, behaviour)


def train(output, behaviour):
    ended = threading.Event()
    threading.Thread(target=lambda: (os.read(sys.stdin.fileno(), 1), ended.set()), daemon=True).start()
    kept, steps = output / "kept", int(option("--steps"))
    step = int(kept.read_text()) if kept.exists() else 0
    say(text="3 cases", cases=[2, 1], memory=910_000_000)
    say(phase="before", done=0, total=2)
    while step < steps:
        step += 1
        say(step=step, steps=steps, loss=0.5, seconds_left=(steps - step) * 60)
        time.sleep(0.02)
        if behaviour["mode"] == "die" and step == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if ended.is_set() and behaviour["mode"] != "deaf":
            kept.write_text(str(step))
            say(end="interrupted", text="", step=step, steps=steps)
            return INTERRUPTED
    report = output / "report.html"
    report.write_text("<h1>Report</h1>")
    figures = {"before": 0.7, "after": 0.75, "change": behaviour.get("change", 0.05), "spread": 0.02, "count": 2}
    pictures = behaviour.get("pictures", True)
    say(end="done", text="", model=option("--id"), report=str(report), pictures=pictures, **figures)
    return 0


sys.exit(main())
