"""How long somebody who gave wrong passwords must wait. Reads no database and knows no password."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=15)
FREE_OF_ACCOUNT = 5
FREE_OF_ADDRESS = 20
"""Wrong passwords within WINDOW before one must wait: of one account, and of all, from one address. An account is
never locked for other addresses: else anybody could lock anybody out."""
FIRST_WAIT_S = 30.0


def wait_s(failures: Sequence[tuple[str, datetime]], account: str, *, at: datetime) -> float:
    """Return the seconds until the next try, 0 if it may be now.

    `failures`: (account, time) of this address's wrong passwords, the oldest first.
    """
    recent = [(name, time) for name, time in failures if at - time < WINDOW]
    own = [time for name, time in recent if name == account]
    of_account = _wait(own, FREE_OF_ACCOUNT, at)
    return max(of_account, _wait([time for _, time in recent], FREE_OF_ADDRESS, at))


def _wait(times: Sequence[datetime], free: int, at: datetime) -> float:
    if len(times) < free:
        return 0.0
    pause = min(timedelta(seconds=FIRST_WAIT_S * 2.0 ** min(len(times) - free, 10)), WINDOW)
    return max(0.0, (times[-1] + pause - at).total_seconds())
