"""A child that leaks descriptors until hardly any is left."""

import os
import resource

from core.clock import pause
from core.notify import Notifier

notifier = Notifier.from_environment()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
kept = [os.open(os.devnull, os.O_RDONLY) for _ in range(56)]
notifier.ready()
while True:
    notifier.beat()
    pause(0.05)
