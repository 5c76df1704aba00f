"""What checking proxies costs: 3,000 candidates, 9 in a hundred of them good; a requests-based checker beside it.

The fleet and the market run in a process of their own. Run: python -m bench.proxies [CANDIDATES] [ROUNDS]
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression

import psutil

from bench.proxies_peers import FAILED, requests_verdicts
from core import logs
from core.clock import SystemClock
from core.settings import Network, Proxies, Settings, State
from proxies.funnel import Funnel, Result
from proxies.model import Address, Protocol
from proxies.probe import Probe
from proxies.tools import open_tools
from simulator import testing
from simulator.testing import PracticeProcess

SHARES = {
    "silent": 0.35,  # takes the connection and says nothing: as long as a black hole
    "web_server": 0.25,
    "dead": 0.18,
    "drip": 0.05,
    "auth": 0.02,
    "busy": 0.02,
    "own_certificate": 0.02,
    "html": 0.02,
    "good": 0.06,
    "good/socks5": 0.02,
    "good/socks4a": 0.01,
}
"""As was measured of published lists. Every third good one answers two seconds late."""
LATE_S = 2.0
ROUND_SHARES = {kind: share for kind, share in SHARES.items() if kind not in ("silent", "drip")}
_NAMES: dict[str, Protocol] = {"http": "http", "socks4a": "socks4", "socks5": "socks5"}
MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one run. `found`, `falsely`: good ones that were found, others that were taken for good."""

    wall_s: float
    cpu_ms: float
    rss_mb: float
    found: int
    falsely: int
    unended: int = 0


def fleet_text(shares: Mapping[str, float], count: int) -> str:
    return ",".join(f"{kind}={max(1, round(share * count))}" for kind, share in shares.items())


def fleet_of(market: PracticeProcess) -> dict[Address, str]:
    """Return address -> kind; a third of the good ones is made slow."""
    found: dict[Address, str] = {}
    for number, member in enumerate(market.proxies()):
        ip, _, port = member.address.rpartition(":")
        found[Address(_NAMES[member.protocol], ip, int(port))] = member.kind
        if member.kind == "good" and number % 3 == 0:
            market.fault("slow_answer", exit=member.exit, delay_s=LATE_S, path="/v8/*")
    return found


def settings_of(market: PracticeProcess, folder: Path) -> Settings:
    network = Network(
        proxy=market.proxy_url, ca_file=str(market.ca_file), start_requests_per_s=50, max_requests_per_s=50
    )
    own = Proxies(own_networks=["127.0.0.0/8"], sources=[], file=str(folder / "http_proxies.txt"))
    return Settings(state=State(dir=str(folder)), network=network, proxies=own)


async def ours(settings: Settings, fleet: Mapping[Address, str], rounds: int = 1) -> list[Figures]:
    """Send the whole fleet through probe and check, `rounds` times."""
    clock, process = SystemClock(), psutil.Process()
    order = sorted(fleet)
    random.Random(7).shuffle(order)
    figures = []
    async with open_tools(settings, clock, urls={}) as tools:
        funnel = Funnel(Probe(refusal=tools.allowed.refusal), tools.checker, clock)
        for _ in range(rounds):
            causes: defaultdict[str, Counter[str]] = defaultdict(Counter)

            async def tell(result: Result, causes: defaultdict[str, Counter[str]] = causes) -> None:
                causes[fleet[result.listed_as]][result.outcome.cause] += 1

            before, began_s = process.cpu_times(), clock.monotonic_s()
            await funnel.run(order, tell, asyncio.Event())
            after, wall_s = process.cpu_times(), clock.monotonic_s() - began_s
            cpu_s = after.user + after.system - before.user - before.system
            figures.append(
                Figures(
                    wall_s=wall_s,
                    cpu_ms=1000 * cpu_s / len(order),
                    rss_mb=process.memory_info().rss / MB,
                    found=causes["good"]["ok"],
                    falsely=sum(counts["ok"] for kind, counts in causes.items() if kind != "good"),
                )
            )
    return figures


def row(name: str, each: Figures, good: int, note: str = "") -> None:
    print(
        f"{name:28} {each.wall_s:7.1f} s {each.cpu_ms:8.3f} ms {each.rss_mb:7.0f} MB "
        f"{each.found:5} of {good} good, {each.falsely} falsely{note}"
    )


def by_requests(market: PracticeProcess, fleet: Mapping[Address, str]) -> Figures | str:
    """Let requests check the same fleet, in a process of its own; a text if that cannot be."""
    urls = {address.url: kind for address, kind in fleet.items() if address.protocol == "http"}
    done = requests_verdicts(urls, market.ca_file)
    if isinstance(done, str):
        return done
    good = Counter(urls[url] == "good" for url in done.good)
    return Figures(wall_s=done.wall_s, cpu_ms=done.cpu_ms, rss_mb=done.rss_mb, found=good[True], falsely=good[False])


def growth_mb(figures: Sequence[Figures]) -> float:
    """Return by how much the memory grows a round, by the straight line through all but the first."""
    sizes_mb = [each.rss_mb for each in figures[1:]]
    return linear_regression(range(len(sizes_mb)), sizes_mb).slope if len(sizes_mb) > 1 else 0.0


def run(count: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with testing.process(folder, "--fleet", fleet_text(SHARES, count)) as market:
            fleet = fleet_of(market)
            good = sum(kind == "good" for kind in fleet.values())
            print(f"{len(fleet):,} candidates, {good} of them good, every third of these {LATE_S:g} s late")
            print(f"{'':28} {'wall':>9} {'CPU each':>11} {'RSS':>10}")
            row("probe 256 -> check 64", asyncio.run(ours(settings_of(market, folder), fleet))[0], good)
            peer = by_requests(market, fleet)
            http = sum(kind == "good" and address.protocol == "http" for address, kind in fleet.items())
            if isinstance(peer, str):
                print(f"requests, 200 threads        {peer}")
            else:
                note = f"; stopped with {peer.unended} under way" if peer.unended else ""
                row("requests, 200 threads", peer, http, note)
            print(f"proxybroker2                 {FAILED}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with testing.process(folder, "--fleet", fleet_text(ROUND_SHARES, 400)) as market:
            settings, fleet = settings_of(market, folder), fleet_of(market)
            figures = asyncio.run(ours(settings, fleet, rounds))
            print(
                f"RSS after each of {rounds} rounds over {len(fleet)}: "
                + " ".join(f"{each.rss_mb:.0f}" for each in figures)
                + f"; {growth_mb(figures):+.2f} MB a round from the second on"
            )


if __name__ == "__main__":
    logs.configure(service="bench", level="error", style="text")
    given = [int(each) for each in sys.argv[1:]]
    run(*given, *(3_000, 20)[len(given) :])
