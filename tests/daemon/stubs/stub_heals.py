"""A child whose dependency is away for its first tries; `tries` counts them, its environment says how many fail."""

import os
from pathlib import Path

from core.clock import pause
from core.notify import Notifier

with Path("tries").open("a") as file:
    file.write("x")
if Path("tries").stat().st_size <= int(os.environ["STUB_FAILURES"]):
    raise SystemExit(1)
notifier = Notifier.from_environment()
notifier.ready()
while True:
    notifier.beat()
    pause(0.05)
