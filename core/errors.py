"""The error classes: each says what the caller should do, and so the exit code. Handles nothing itself."""

from __future__ import annotations

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_RUNNING = 3
EXIT_UNREACHABLE = 69  # sysexits.h EX_UNAVAILABLE
EXIT_TRY_LATER = 75  # sysexits.h EX_TEMPFAIL
EXIT_CONFIG = 78  # sysexits.h EX_CONFIG


class TickerdError(Exception):
    """An error that is told to the user in one line: `where: key: reason; what would be right`."""

    exit_code = EXIT_FAILED

    def __init__(self, reason: str, *, where: str = "", key: str = "", right: str = "") -> None:
        self.reason, self.where, self.key, self.right = reason, where, key, right
        said = ": ".join(part for part in (where, key, reason) if part)
        whole = f"{said}; {right}" if right else said
        super().__init__(" ".join(whole.splitlines()))


class RetryLater(TickerdError):
    """The same call may work later."""

    exit_code = EXIT_TRY_LATER


class Unreachable(RetryLater):
    """The other side does not answer; nothing here is wrong."""

    exit_code = EXIT_UNREACHABLE


class FixByHand(TickerdError):
    """A person must change something first: the configuration, a file, the database."""

    exit_code = EXIT_CONFIG


class NotRunning(TickerdError):
    """No orchestrator answers on the control socket."""

    exit_code = EXIT_NOT_RUNNING
