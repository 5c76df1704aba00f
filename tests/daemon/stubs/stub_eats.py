"""A child that takes memory until the kernel ends it."""

from core.notify import Notifier

Notifier.from_environment().ready()
kept = []
while True:
    kept.append(bytearray(b"x") * 1_000_000)
