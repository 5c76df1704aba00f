"""A child that is ready, says why it ends, and ends at once."""

from core.notify import Notifier

notifier = Notifier.from_environment()
notifier.ready()
notifier.status("farewell")
raise SystemExit(1)
