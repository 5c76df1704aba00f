"""The practice market as a process: its command line, files and signals. Knows nothing of Yahoo's protocols."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

from core import logs
from core.clock import Clock, SystemClock
from core.errors import EXIT_DONE, EXIT_FAILED, FixByHand, TickerdError
from core.files import read_text, write_atomic
from core.program import on_signals, print_error
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator import listings
from simulator.server import PracticeServer
from simulator.walk import Market

log = logs.get_logger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    options = _parser().parse_args(arguments)
    logs.configure(service="simulator", level=options.log_level, style="json")
    try:
        return asyncio.run(_serve(options, SystemClock()))
    except TickerdError as error:
        print_error(error)
        return error.exit_code


async def _serve(options: argparse.Namespace, clock: Clock) -> int:
    host, port = _address(options.listen)
    server = PracticeServer(build_market(options, clock), clock=clock)
    stop = asyncio.Event()
    on_signals(stop.set)
    failures: list[BaseException] = []

    def failed(error: BaseException) -> None:
        log.error("practice_market_failed", error=repr(error))
        failures.append(error)
        stop.set()

    await server.start(host, port, on_failure=failed)
    try:
        _announce(server, ca_file=options.ca_file, ready_file=options.ready_file)
        log.info("practice_market_opened", proxy_url=server.proxy_url, tickers=len(server.market.stocks))
        await stop.wait()
    finally:
        await server.stop()
    return EXIT_FAILED if failures else EXIT_DONE


def build_market(options: argparse.Namespace, clock: Clock) -> Market:
    """Return the market that the options describe; FixByHand for an unreadable universe or calendar."""
    traded = listings.from_file(options.universe) if options.universe else listings.bundled()
    return Market(
        traded,
        calendar=build_calendar(MarketSettings(calendar=options.calendar), read=read_text),
        seed=options.seed,
        now=clock.utc_now(),
        canary_interval_s=options.canary_interval_s,
    )


def _announce(server: PracticeServer, *, ca_file: Path, ready_file: Path) -> None:
    """Write the CA first: who sees the ready file may connect at once."""
    document = {"proxy_url": server.proxy_url, "ca_file": str(ca_file.absolute()), "pid": os.getpid()}
    _write(ca_file, server.authority.pem)
    _write(ready_file, json.dumps(document).encode() + b"\n")


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomic(path, content)
    except OSError as error:
        raise FixByHand(
            f"cannot be written ({error.strerror})", where=str(path), right="give a writable folder"
        ) from error


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise FixByHand(f"{text!r} has no port", key="--listen", right="use 127.0.0.1:0")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulator", description="A practice market on loopback.")
    parser.add_argument("--listen", default="127.0.0.1:0", help="loopback address and port; 0 = any free one")
    parser.add_argument("--ca-file", type=Path, required=True, help="where to write the CA's certificate")
    parser.add_argument("--ready-file", type=Path, required=True, help="JSON {proxy_url, ca_file, pid}, when ready")
    parser.add_argument("--universe", type=Path, help="tickers, one a line (default: all US listings)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same walk")
    parser.add_argument("--calendar", default="always", help="always, XNYS or file:PATH")
    parser.add_argument("--canary-interval-s", type=_whole_seconds, default=2, help="BTC-USD's rhythm")
    parser.add_argument("--log-level", default="info", choices=sorted(logs.LEVELS))
    return parser


def _whole_seconds(text: str) -> int:
    seconds = int(text)
    if seconds < 1:
        raise ValueError("at least 1")
    return seconds
