"""The practice market as a process: its command line, files and signals. Knows nothing of Yahoo's protocols."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from core import logs
from core.clock import Clock, SystemClock
from core.errors import EXIT_DONE, EXIT_FAILED, FixByHand, TickerdError
from core.files import read_text, write_atomic
from core.program import on_signals, print_error, run_loop
from core.settings import Market as MarketSettings
from market.sessions import build_calendar
from simulator.fleet import kinds
from simulator.ports.loopback import split_address
from simulator.practice import Practice
from simulator.running import RemoteMarket
from simulator.server import LEDGER_MB
from simulator.stream.replay import FASTEST, SLOWEST, Playback
from simulator.trouble import catalogue
from simulator.trouble.script import Script, from_file
from simulator.world import listings
from simulator.world.walk import Market

log = logs.get_logger(__name__)


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    options = _parser().parse_args(arguments)
    logs.configure(service="simulator", level=options.log_level, style="json")
    try:
        if options.to or options.clear:
            return _order(options)
        return run_loop(_serve(options, SystemClock()))
    except TickerdError as error:
        print_error(error)
        return error.exit_code


def _order(options: argparse.Namespace) -> int:
    """Give the faults to a market that runs already."""
    if not options.to:
        raise FixByHand("of which market?", key="--clear", right="say it with --to HOST:PORT")
    running = RemoteMarket(options.to)
    for text in options.fault:
        catalogue.from_text(text)  # a wrong one is told before the first takes effect
    if options.clear:
        running.clear()
    for text in options.fault:
        running.fault(text)
    return EXIT_DONE


async def _serve(options: argparse.Namespace, clock: Clock) -> int:
    script = _script(options)
    practice = Practice(build_market(options, clock), clock=clock, ledger_mb=options.ledger_mb)
    if options.replay:
        practice.server.play(playback_of(options))
    stop = asyncio.Event()
    on_signals(stop.set)
    failures: list[BaseException] = []

    def failed(error: BaseException) -> None:
        log.error("practice_market_failed", error=repr(error))
        failures.append(error)
        stop.set()

    listen_on = split_address(options.listen, key="--listen")
    control_on = split_address(options.control, key="--control")
    try:
        await practice.start(listen_on, control_on, script=script, on_failure=failed)
        server = practice.server
        _announce(practice, ca_file=options.ca_file, ready_file=options.ready_file)
        log.info("practice_market_opened", proxy_url=server.proxy_url, tickers=len(server.market.stocks))
        await stop.wait()
    finally:
        await practice.stop()
    return EXIT_FAILED if failures else EXIT_DONE


def _script(options: argparse.Namespace) -> Script:
    """Return everything that is to happen: of the script's file, and of the options."""
    script = from_file(options.script) if options.script else Script()
    script.faults += [catalogue.from_text(text) for text in options.fault]
    script.fleet += kinds.from_text(options.fleet)
    return script


def playback_of(options: argparse.Namespace) -> Playback:
    """Return the recording to be played; FixByHand for a file that is none."""
    playback = Playback(options.replay, speed=options.speed)
    log.info("practice_replay_opened", records=playback.records, unreadable=playback.unreadable)
    return playback


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


def _announce(practice: Practice, *, ca_file: Path, ready_file: Path) -> None:
    """Write the CA first: who sees the ready file may connect at once."""
    server = practice.server
    document = {
        "proxy_url": server.proxy_url,
        "ca_file": str(ca_file.absolute()),
        "control": practice.control_address,
        "pid": os.getpid(),
        "proxies": [asdict(member) for member in server.fleet.members()],
    }
    _write(ca_file, server.authority.pem)
    _write(ready_file, json.dumps(document).encode() + b"\n")


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomic(path, content)
    except OSError as error:
        raise FixByHand(
            f"cannot be written ({error.strerror})", where=str(path), right="give a writable folder"
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulator", description="A practice market on loopback.")
    parser.add_argument("--listen", default="127.0.0.1:0", help="loopback address and port; 0 = any free one")
    parser.add_argument("--control", default="127.0.0.1:0", help="the control port: loopback; 0 = any free one")
    parser.add_argument("--ca-file", type=Path, default=Path("practice-ca.pem"), help="where the CA's certificate goes")
    parser.add_argument(
        "--ready-file",
        type=Path,
        default=Path("practice.json"),
        help="JSON {proxy_url, ca_file, control, pid, proxies}, when ready",
    )
    parser.add_argument("--fault", action="append", default=[], help="NAME[=FOR][@AT][,KEY=VALUE...]; see --list")
    parser.add_argument("--script", type=Path, help="TOML: faults, events and proxies, and when")
    parser.add_argument("--fleet", default="", help="KIND[/PROTOCOL]=COUNT,...; see --list")
    parser.add_argument("--to", metavar="HOST:PORT", help="give the faults to the market with this control port")
    parser.add_argument("--clear", action="store_true", help="with --to: end all faults first")
    parser.add_argument("--ledger-mb", type=_megabytes, default=LEDGER_MB, help="memory for the prices of the past")
    parser.add_argument("--list", action=_List, nargs=0, help="tell every fault and every kind of proxy")
    parser.add_argument("--universe", type=Path, help="tickers, one a line (default: all US listings)")
    parser.add_argument(
        "--replay", type=Path, action="append", default=[], help="play a recording of the flight recorder"
    )
    parser.add_argument("--speed", type=_speed, default=1.0, help="with --replay: so many times as fast")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same walk")
    parser.add_argument("--calendar", default="always", help="always, XNYS or file:PATH")
    parser.add_argument("--canary-interval-s", type=_whole_seconds, default=2, help="BTC-USD's rhythm")
    parser.add_argument("--log-level", default="info", choices=sorted(logs.LEVELS))
    return parser


def _megabytes(text: str) -> float:
    megabytes = float(text)
    if not 1 <= megabytes <= 100_000:
        raise ValueError("from 1 to 100,000")
    return megabytes


def _speed(text: str) -> float:
    speed = float(text)
    if not SLOWEST <= speed <= FASTEST:
        raise ValueError(f"from {SLOWEST:g} to {FASTEST:g}")
    return speed


def _whole_seconds(text: str) -> int:
    seconds = int(text)
    if seconds < 1:
        raise ValueError("at least 1")
    return seconds


class _List(argparse.Action):
    """Tells what is known, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"Faults:\n{catalogue.describe()}\n\nProxies:\n{kinds.describe()}\n")
        parser.exit(EXIT_DONE)
