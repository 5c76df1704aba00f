"""From the start of the process to a table in which 99 % of the tickers have a price, for `bench.stream`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.stream_market import tickers
from bench.stream_peers import ENOUGH, listening, lists_of
from bench.stream_scanner import scanning
from market.universe import FIXED_8782
from simulator import testing

SHARE = 0.99
PER_CONNECTION = 99


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Seconds from the start of the process until 99 % are in the table, and until yfinance has heard as many."""

    ours_s: float
    peer_s: float


def start(folder: Path) -> Start:
    """Start both, one after the other, against a market that trades as usual."""
    folder.mkdir(parents=True)
    with testing.process(folder, "--universe", str(FIXED_8782), "--log-level", "error") as market:
        with scanning(folder / "scanner", market) as scanner:
            ours_s = scanner.wait_until_priced(int(SHARE * len(tickers())))
        lists = lists_of(tickers(), PER_CONNECTION)
        with listening(folder / "peer", market, lists) as peer:
            return Start(ours_s=ours_s, peer_s=peer.wait_for(ENOUGH))
