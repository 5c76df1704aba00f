"""The least that restarts a child: a pidfd, a poll, a Popen. What it takes is the machine's share of every figure.

Run: python -m bench.stubs.bare_loop COUNT WORD...
"""

import os
import select
import subprocess
import sys

count, command = int(sys.argv[1]), sys.argv[2:]
poll = select.poll()
children: dict[int, subprocess.Popen[bytes]] = {}


def start() -> None:
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    pidfd = os.pidfd_open(child.pid)
    children[pidfd] = child
    poll.register(pidfd, select.POLLIN)


for _ in range(count):
    start()
while True:
    for pidfd, _events in poll.poll():
        poll.unregister(pidfd)
        os.close(pidfd)
        children.pop(pidfd).wait()
        start()
