"""A child that leaves processes behind: one in its group, one in a session of its own, one whose parent has ended.

Their pids are in the file `left`. They hear no SIGTERM and hold its output open.
"""

import os
import signal
from pathlib import Path

from core.clock import pause
from core.notify import Notifier

notifier = Notifier.from_environment()


def stay(*, new_session: bool) -> int:
    pid = os.fork()
    if pid:
        return pid
    if new_session:
        os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pause(90)
    os._exit(0)


def orphan() -> int:
    """A daemon of the old school: forked twice, in a session of its own."""
    reader, writer = os.pipe()
    if middle := os.fork():
        os.waitpid(middle, 0)
        return int(os.read(reader, 20))
    os.setsid()
    os.write(writer, str(stay(new_session=False)).encode())
    os._exit(0)


pids = [stay(new_session=False), stay(new_session=True), orphan()]
Path("left.new").write_text(" ".join(map(str, pids)))
Path("left.new").rename("left")
notifier.ready()
while True:
    notifier.beat()
    pause(0.05)
