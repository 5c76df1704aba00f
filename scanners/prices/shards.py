"""Which ticker is asked on which connection. Pure: opens nothing."""

from __future__ import annotations

from collections.abc import Iterable

from storage.universe import TickerRow


def is_ticker(text: str | None) -> bool:
    """False for what no list may hold: a null or an empty symbol makes the upstream close the connection."""
    return bool(text and text.strip())


def plan_shards(rows: Iterable[TickerRow], *, per_connection: int) -> list[tuple[str, ...]]:
    """Return ceil(N / per_connection) lists, dealt out by dollar volume so that each has busy names.

    The upstream honours a fixed number of symbols a connection and says nothing of the rest; a canary is added to
    each list by the connection, so `per_connection` is one below that number.
    """
    by_liquidity = sorted(
        (row for row in rows if is_ticker(row.ticker)), key=lambda row: (-(row.dollar_volume_usd or 0.0), row.ticker)
    )
    count = -(-len(by_liquidity) // per_connection)
    return [tuple(row.ticker for row in by_liquidity[first::count]) for first in range(count)]
