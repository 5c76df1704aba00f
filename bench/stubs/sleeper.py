"""The child that every contender supervises: notes when its first statement ran, then sleeps and beats."""

import time

STARTED_NS = time.monotonic_ns()

import os  # noqa: E402  (the first statement comes before everything that takes time)
from pathlib import Path  # noqa: E402

from core.clock import pause  # noqa: E402
from core.notify import Notifier  # noqa: E402

note = Path(os.environ["SLEEPER_FOLDER"]) / f"{os.getpid()}"
part = note.with_suffix(".part")
part.write_text(f"{STARTED_NS}")
part.rename(note)

notifier = Notifier.from_environment()  # nobody listens under a supervisor that knows no heartbeats
notifier.ready()
while True:
    notifier.beat()
    pause(float(os.environ["SLEEPER_BEAT_S"]))
