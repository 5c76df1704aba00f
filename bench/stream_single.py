"""One connection without TLS, frames as fast as they are taken, for `bench.stream`: processor time a message.

Each contender is a process of its own. "Same handler": the newest message of each ticker is kept in a dictionary.

Usage: python -m bench.stream_single CONTENDER URL MESSAGES, or `serve`
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, cast

from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_streams

from bench.stream_market import tickers
from core.clock import SystemClock
from core.settings import Market as MarketSettings
from core.settings import Prices, Settings
from market.quotes import Tick
from market.sessions import build_calendar
from net.paced import GARBAGE
from net.stream import MAX_FRAME_BYTES, open_stream
from net.tls import Trust
from scanners.prices.book import PriceBook, sessions_at
from scanners.prices.connection import ShardConnection
from scanners.prices.retries import Pace
from simulator.stream.feed import Feed
from simulator.trouble.faults import Faults
from simulator.world import listings
from simulator.world.walk import Market
from yahoo.stream import ORIGIN, FrameParser, subscribe_text

WARM_MESSAGES = 20_000
BLOCK_FRAMES = 500
ENOUGH_BYTES = 1 << 20
NOBODY = Trust(ca_path=Path(), context=cast(Any, None))
"""There is no TLS here."""

Done = Callable[[], None]
Contender = Callable[[str, Done], Awaitable[None]]


def calendar() -> Any:
    return build_calendar(MarketSettings(calendar="always"), read=Path.read_text)


def frames() -> list[bytes]:
    """Return blocks of frames, a price of each ticker in turn, in the market's own wire format."""
    listed = listings.chosen(tickers())
    market = Market(listed, calendar=calendar(), seed=1, now=SystemClock().utc_now())
    symbols = [each.symbol for each in listed]
    whole = list(Feed(market, Faults()).snapshot(symbols).values())
    return [b"".join(whole[start : start + BLOCK_FRAMES]) for start in range(0, len(whole), BLOCK_FRAMES)]


async def flood() -> None:
    """Serve everybody who subscribes, for ever; the address goes to stdout."""
    blocks, clock = frames(), SystemClock()

    async def client(connection: ServerConnection) -> None:
        await connection.recv()
        for block in cycle(blocks):
            while connection.transport.get_write_buffer_size() > ENOUGH_BYTES:
                await clock.sleep(0.0005)
            if connection.transport.is_closing():
                return
            connection.transport.write(block)

    async with serve_streams(client, "127.0.0.1", 0, compression=None) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/?version=2", flush=True)
        await asyncio.Event().wait()


class Count:
    """Prints the processor time a message in microseconds when enough have come, and ends the process."""

    def __init__(self, messages: int) -> None:
        self._left, self._messages, self._began_s = WARM_MESSAGES, messages, 0.0

    def __call__(self) -> None:
        self._left -= 1
        if self._left:
            return
        if self._began_s:
            print(1e6 * (time.process_time() - self._began_s) / self._messages, flush=True)
            os._exit(0)
        self._left, self._began_s = self._messages, time.process_time()


async def yfinance(url: str, done: Done) -> None:
    from yfinance import AsyncWebSocket

    newest: dict[str, Any] = {}

    def handle(message: dict[str, Any]) -> None:
        newest[message["id"]] = message
        done()

    socket = AsyncWebSocket(url=url, verbose=False)
    await socket.subscribe(tickers())
    await socket.listen(handle)


async def _tickerd(url: str, on_tick: Callable[[Tick], None]) -> None:
    shard = ShardConnection(
        0,
        tuple(tickers()),
        settings=Settings(prices=Prices(stream_url=url)),
        trust=NOBODY,
        clock=SystemClock(),
        pace=Pace(0.0),
        on_tick=on_tick,
        on_failure=sys.exit,
    )
    await shard.run()


async def tickerd(url: str, done: Done) -> None:
    newest: dict[str, Tick] = {}

    def handle(tick: Tick) -> None:
        newest[tick.ticker] = tick
        done()

    await _tickerd(url, handle)


async def tickerd_book(url: str, done: Done) -> None:
    book, clock = PriceBook(tickers(), hold_s=None), SystemClock()
    sessions = sessions_at(calendar(), clock.utc_now())

    def handle(tick: Tick) -> None:
        book.offer(tick, sessions, now=clock.utc_now(), now_s=clock.monotonic_s())
        done()

    await _tickerd(url, handle)


async def receive(url: str, done: Done) -> None:
    async with open_stream(url, trust=NOBODY, proxy="", origin=ORIGIN) as stream:
        await stream.send(subscribe_text(tickers()))
        while True:
            await stream.recv(decode=False)
            done()


async def _picows(url: str, on_frame: Callable[[bytes], None]) -> None:
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

    class Listener(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            on_frame(frame.get_payload_as_bytes())

    transport, _ = await ws_connect(Listener, url, max_frame_size=MAX_FRAME_BYTES)
    transport.send(WSMsgType.TEXT, subscribe_text(tickers()).encode())
    await transport.wait_disconnected()


async def picows_receive(url: str, done: Done) -> None:
    await _picows(url, lambda _frame: done())


async def picows_parser(url: str, done: Done) -> None:
    newest: dict[str, Tick] = {}
    parser = FrameParser()

    def handle(frame: bytes) -> None:
        tick = parser.parse(frame)
        assert tick is not None
        newest[tick.ticker] = tick
        done()

    await _picows(url, handle)


CONTENDERS: dict[str, Contender] = {
    "yfinance": yfinance,
    "tickerd": tickerd,
    "tickerd_book": tickerd_book,
    "receive": receive,
    "picows_parser": picows_parser,
    "picows_receive": picows_receive,
}
TOLD = {
    "yfinance": "yfinance's AsyncWebSocket.listen",
    "tickerd": "tickerd's connection and parser",
    "tickerd_book": "  and its price book as handler",
    "receive": "limit: websockets, receive only",
    "picows_parser": "picows and tickerd's parser",
    "picows_receive": "limit: picows, receive only",
}


async def measure(name: str, url: str, messages: int) -> None:
    """Run the contender until `Count` ends the process."""
    await CONTENDERS[name](url, Count(messages))
    sys.exit("the connection was lost")


@contextmanager
def flooding() -> Iterator[str]:
    """Run the server; yield its address."""
    child = subprocess.Popen([sys.executable, "-m", "bench.stream_single", "serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield child.stdout.readline().strip()
    finally:
        child.kill()
        child.communicate()


def single(rounds: int, messages: int) -> dict[str, list[float]]:
    """Return contender -> microseconds of processor time a message, one figure for each of the interleaved rounds."""
    found: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    with flooding() as url:
        for _ in range(rounds):
            for name, figures in found.items():
                command = [sys.executable, "-W", "ignore", "-m", "bench.stream_single", name, url, str(messages)]
                done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
                figures.append(float(done.stdout))
    return found


def main() -> None:
    if sys.argv[1] == "serve":
        asyncio.run(flood())
        return
    if "tickerd" in sys.argv[1]:
        gc.set_threshold(*GARBAGE)  # as in the scanner's own process
    asyncio.run(measure(sys.argv[1], sys.argv[2], int(sys.argv[3])))


if __name__ == "__main__" and len(sys.argv) > 1:
    main()
