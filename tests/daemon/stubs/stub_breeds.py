"""A child that forks without end: each process forks on, in a session of its own, until there are sixty."""

import os
from pathlib import Path

from core.clock import pause
from core.notify import Notifier

MOST = 60
bred = Path("bred")
bred.touch()


def count() -> int:
    return bred.read_text().count("\n")


if os.fork() == 0:
    while count() < MOST:
        if os.fork() == 0:
            os.setsid()
            with bred.open("a") as file:
                file.write(f"{os.getpid()}\n")
    pause(60)
    os._exit(0)
while count() < MOST:
    pause(0.01)
notifier = Notifier.from_environment()
notifier.ready()
while True:
    notifier.beat()
    pause(0.05)
