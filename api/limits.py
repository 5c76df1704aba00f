"""How often and how much at once one may ask: by user or key, and by address. Decides; who asks is told by others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

MOST_KEYS = 100_000


@dataclass(frozen=True, slots=True)
class Taken:
    """`wait_s`: seconds until there is room, 0 if there was; `left`: requests that may follow at once."""

    wait_s: float
    left: int


class Rate:
    """So many a second on the long run and `burst` at once (GCRA: one number for each who asks)."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._every_s, self.burst = 1.0 / per_s, burst
        self._room_s = self._every_s * burst
        self._full_at_s: dict[str, float] = {}

    def take(self, key: str, *, now_s: float) -> Taken:
        """Take one, if there is room."""
        full_s = max(self._full_at_s.get(key, now_s), now_s) + self._every_s
        over_s = full_s - now_s - self._room_s
        if over_s > 1e-9:
            return Taken(over_s, 0)
        if len(self._full_at_s) >= MOST_KEYS:
            self._forget(now_s)
        self._full_at_s[key] = full_s
        return Taken(0.0, int((-over_s + 1e-9) / self._every_s))

    def _forget(self, now_s: float) -> None:
        """Keep only who took some lately; all of MOST_KEYS that did begin anew, memory comes first."""
        late = {key: full_s for key, full_s in self._full_at_s.items() if full_s > now_s}
        self._full_at_s = late if len(late) < MOST_KEYS else {}


class TooManyStreams(Exception):
    """`of`: "all", "user" or "address"."""

    def __init__(self, of: str, most: int) -> None:
        self.of, self.most = of, most
        super().__init__(f"{most} streams are open ({of})")


class Streams:
    """Counts the streams that are open, in all, by user and by address."""

    def __init__(self, *, most: int, of_user: int, of_address: int) -> None:
        self._most, self._of_user, self._of_address = most, of_user, of_address
        self._users: Counter[str] = Counter()
        self._addresses: Counter[str] = Counter()
        self.open = 0

    @contextmanager
    def opened(self, user: str, address: str) -> Iterator[None]:
        """Hold a place while the body runs; TooManyStreams."""
        self._require_room(user, address)
        self.open += 1
        self._users[user] += 1
        self._addresses[address] += 1
        try:
            yield
        finally:
            self.open -= 1
            _less(self._users, user)
            _less(self._addresses, address)

    def _require_room(self, user: str, address: str) -> None:
        if self.open >= self._most:
            raise TooManyStreams("all", self._most)
        if self._users[user] >= self._of_user:
            raise TooManyStreams("user", self._of_user)
        if self._addresses[address] >= self._of_address:
            raise TooManyStreams("address", self._of_address)


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def neighbourhood(address: str) -> str:
    """Return what is counted as one address: of IPv6 the /64, which one subscriber has whole."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return address
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return f"{IPv6Address(int(known) >> 64 << 64)}/64"
