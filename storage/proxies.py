"""Every statement about the pool of proxies and the lists it comes from. Judges no proxy.

A change is read, made and written in one transaction: the process that checks and the scanner that uses them both
tell what they saw, and neither may undo the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, Engine, and_, func, or_, select

from storage.schema import proxy, proxy_source
from storage.writer import Transaction, Writer

SOURCE = "proxies"
ROWS_A_TRANSACTION = 500  # so that a harvest of thousands never keeps the price flush waiting for long
Key = tuple[str, str]
"""(address "ip:port", protocol)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRow:
    """One row of `proxy`; `source`: the lists that named it, separated by spaces."""

    address: str
    protocol: str
    state: str
    first_seen: datetime
    exit_ip: str | None = None
    source: str | None = None
    ok: int = 0
    fail: int = 0
    fails_in_a_row: int = 0
    bad_certificate: bool = False
    latency_ms: float | None = None
    last_checked: datetime | None = None
    last_ok: datetime | None = None
    cool_until: datetime | None = None
    last_error: str | None = None
    score_ok: float = 0.0
    score_fail: float = 0.0
    strikes: float = 0.0
    scored_at: datetime | None = None
    cookie: str = ""
    crumb: str = ""
    minted_at: datetime | None = None

    @property
    def key(self) -> Key:
        return self.address, self.protocol


Change = Callable[[Mapping[Key, ProxyRow | None]], Iterable[ProxyRow]]
"""A pure function of what is kept, for a transaction may be run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One row of `proxy_source`. `entries`: what it held; `refused`: of these, no address to ask; `candidates`: the
    rest; `fresh`: of these, in no list before it; `live`, `gold`: of these, now in that state."""

    url: str
    fetched_at: datetime | None = None
    candidates: int | None = None
    live: int | None = None
    gold: int | None = None
    last_error: str | None = None
    etag: str | None = None
    entries: int | None = None
    refused: int | None = None
    fresh: int | None = None
    fails_in_a_row: int = 0
    paused_until: datetime | None = None


def read_proxies(engine: Engine, *, states: Collection[str] = ()) -> list[ProxyRow]:
    """Return the proxies in these states, or all, the best first: those that answered most recently."""
    wanted = select(proxy).order_by(proxy.c.last_ok.desc().nulls_last(), proxy.c.address, proxy.c.protocol)
    if states:
        wanted = wanted.where(proxy.c.state.in_(sorted(states)))
    with engine.connect() as connection:
        return [ProxyRow(**row) for row in connection.execute(wanted).mappings()]


def count_proxies(engine: Engine) -> Counter[str]:
    """Return how many proxies are in each state."""
    wanted = select(proxy.c.state, func.count()).group_by(proxy.c.state)
    with engine.connect() as connection:
        return Counter({str(state): int(count) for state, count in connection.execute(wanted)})


def change_proxies(writer: Writer, keys: Iterable[Key], change: Change) -> list[ProxyRow]:
    """Give what is kept of `keys` to `change`, None for an unknown one, and write the rows that it returns.

    In transactions of 500 keys; `change` may be called again for the same ones. Returns what was written.
    """
    return [row for part in _parts(sorted(set(keys))) for row in _change(writer, part, change)]


def _change(writer: Writer, keys: Sequence[Key], change: Change) -> list[ProxyRow]:
    def body(tx: Transaction) -> list[ProxyRow]:
        changed = list(change(_rows_of(tx.connection, keys)))
        tx.execute_many("put_proxy", [asdict(row) for row in changed])
        return changed

    return writer.run(body, source=SOURCE)


def keys_sharing(engine: Engine, *, hosts: Collection[str], exits: Collection[str]) -> list[Key]:
    """Return the proxies that listen on one of `hosts` or leave by one of `exits`."""
    with engine.connect() as connection:
        rows = connection.execute(select(proxy.c.address, proxy.c.protocol, proxy.c.exit_ip))
        return [
            (address, protocol)
            for address, protocol, exit_ip in rows
            if exit_ip in exits or address.rpartition(":")[0] in hosts
        ]


def read_banned(engine: Engine) -> tuple[set[str], set[str]]:
    """Return the hosts and the exits of the proxies whose certificate was wrong."""
    wanted = select(proxy.c.address, proxy.c.exit_ip).where(proxy.c.bad_certificate)
    with engine.connect() as connection:
        rows = list(connection.execute(wanted))
    return {address.rpartition(":")[0] for address, _ in rows}, {exit_ip for _, exit_ip in rows if exit_ip}


def read_refused(engine: Engine, *, now: datetime) -> set[Key]:
    """Return those that are not to be tried at `now`: banned, or found dead so lately that they will still be."""
    out = and_(proxy.c.state == "evicted", proxy.c.cool_until > now)
    with engine.connect() as connection:
        rows = connection.execute(select(proxy.c.address, proxy.c.protocol).where(or_(proxy.c.bad_certificate, out)))
        return {(address, protocol) for address, protocol in rows}


def read_ended(engine: Engine, *, now: datetime) -> list[tuple[Key, str]]:
    """Return those whose time in the negative cache is over, each with the lists that named it."""
    over = and_(proxy.c.state == "evicted", ~proxy.c.bad_certificate, proxy.c.cool_until <= now)
    with engine.connect() as connection:
        rows = connection.execute(select(proxy.c.address, proxy.c.protocol, proxy.c.source).where(over))
        return [((address, protocol), source or "") for address, protocol, source in rows]


def forget_dead(writer: Writer, *, before: datetime) -> int:
    """Forget those whose time in the negative cache ended before this and that no list has named since."""
    return writer.run(lambda tx: tx.execute("forget_dead_proxies", {"before": before}).rowcount, source=SOURCE)


def read_sources(engine: Engine) -> list[SourceRow]:
    """Return what is known of each list."""
    with engine.connect() as connection:
        return [
            SourceRow(**row) for row in connection.execute(select(proxy_source).order_by(proxy_source.c.url)).mappings()
        ]


def write_sources(writer: Writer, rows: Sequence[SourceRow]) -> None:
    """Note how each list did."""
    writer.run(lambda tx: tx.execute_many("put_proxy_source", [asdict(row) for row in rows]), source=SOURCE)


def _rows_of(connection: Connection, keys: Sequence[Key]) -> dict[Key, ProxyRow | None]:
    wanted = select(proxy).where(proxy.c.address.in_(sorted({address for address, _ in keys})))
    found = {row.key: row for row in (ProxyRow(**row) for row in connection.execute(wanted).mappings())}
    return {key: found.get(key) for key in keys}


def _parts(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    rest = iter(keys)
    while part := list(islice(rest, ROWS_A_TRANSACTION)):
        yield part
