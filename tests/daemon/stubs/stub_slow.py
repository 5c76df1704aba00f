"""A child that takes longer than it may to get ready, and beats meanwhile."""

from core.clock import pause
from core.notify import Notifier

notifier = Notifier.from_environment()
for _ in range(50):
    notifier.beat()
    pause(0.05)
notifier.ready()
while True:
    notifier.beat()
    pause(0.05)
