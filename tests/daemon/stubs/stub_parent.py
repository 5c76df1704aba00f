"""A child that leaves a process of its own behind: its pid is in the file `grandchild`."""

import subprocess
import sys
from pathlib import Path

from core.clock import pause
from core.notify import Notifier

child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
Path("grandchild").write_text(str(child.pid))
notifier = Notifier.from_environment()
notifier.ready()
while True:
    notifier.beat()
    pause(0.05)
