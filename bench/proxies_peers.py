"""The checker that people write first: requests, a thread a proxy, TLS verified, JSON looked at. For bench.proxies."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from core.clock import SystemClock

URL = "https://query1.finance.yahoo.com/v8/finance/chart/AAPL?range=5d&interval=1d"
THREADS = 200
TIMEOUT_S = (3.0, 8.0)
LONGEST_S = 60.0
FAILED = "ends each check over HTTPS with AttributeError: 'TransportSocket' object has no attribute 'send' (2.0.0a4)"
"""Seen on Python 3.11.7 in an environment of its own, through three good proxies of three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    good: list[str]
    wall_s: float
    cpu_ms: float
    rss_mb: float
    unended: int
    """Checks that had no end within LONGEST_S: its timeouts begin anew with each byte."""


def requests_verdicts(urls: Iterable[str], ca_file: Path) -> Verdicts | str:
    """Return what a process that checks by requests finds; a text if requests is not installed."""
    if importlib.util.find_spec("requests") is None:
        return "requests is not installed"
    command = [sys.executable, "-m", "bench.proxies_peers", str(ca_file)]
    environ = {name: text for name, text in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(command, input="\n".join(urls), capture_output=True, text=True, check=True, env=environ)
    return Verdicts(**json.loads(done.stdout))


def check(url: str, ca_file: str) -> str | None:
    """Return the proxy's URL if it is good."""
    import requests

    try:
        answer = requests.get(URL, proxies={"https": url}, verify=ca_file, timeout=TIMEOUT_S, allow_redirects=False)
        symbol = answer.json()["chart"]["result"][0]["meta"]["symbol"]
    except (requests.RequestException, ValueError, KeyError, TypeError, IndexError):
        return None
    return url if symbol == "AAPL" else None


def main(ca_file: str) -> None:
    urls = sys.stdin.read().split()
    clock, process = SystemClock(), psutil.Process()
    import requests  # noqa: F401  (its import is not a check's cost)

    before, began_s = process.cpu_times(), clock.monotonic_s()
    pool = ThreadPoolExecutor(THREADS)
    checks = [pool.submit(check, url, ca_file) for url in urls]
    done, left = wait(checks, timeout=LONGEST_S)
    good = [url for each in done if (url := each.result())]
    after = process.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    figures = Verdicts(
        good=good,
        wall_s=clock.monotonic_s() - began_s,
        cpu_ms=1000 * cpu_s / max(1, len(done)),
        rss_mb=process.memory_info().rss / 1_000_000,
        unended=len(left),
    )
    print(json.dumps(asdict(figures)), flush=True)
    os._exit(0)  # the pool would wait for what never ends


if __name__ == "__main__":
    if sys.argv[1:]:
        main(sys.argv[1])
    else:
        print("run by bench.proxies")
