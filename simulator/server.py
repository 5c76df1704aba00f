"""The practice market, running: it trades, listens, lets faults begin and end, and keeps its book.

Listens on loopback only. What its hosts answer is not decided here.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime

from core.clock import Clock
from core.logs import get_logger
from core.tasks import cancel_all, spawn
from simulator.answers.harvest import Proxy
from simulator.answers.rest import Rest
from simulator.fleet.gate import Gate, Guise
from simulator.fleet.kinds import KINDS
from simulator.fleet.listener import Fleet
from simulator.ports.certificates import Authority
from simulator.ports.hosts import Hosts
from simulator.ports.loopback import address_of, listen, split_address
from simulator.ports.sinks import Sinks
from simulator.record.ledger import DIRECT, Ledger
from simulator.record.truth import Truth
from simulator.stream.feed import Feed
from simulator.stream.replay import Playback
from simulator.stream.streams import Streams
from simulator.trouble.catalogue import Fault
from simulator.trouble.faults import Faults
from simulator.world.walk import Market

log = get_logger(__name__)

DIRECT_EXIT = "192.0.2.1"
"""Who comes without a proxy of the fleet is seen as this one (RFC 5737: nobody's address)."""
PLAY_S = 0.05
"""A recorded frame is sent this much late at most."""
LEDGER_MB = 40.0
"""Seven minutes in which every ticker trades each second; half an hour of usual trading."""


class PracticeServer:
    """A running practice market. `refused_hosts` counts the CONNECTs to hosts that it is not.

    `waiting`: faults that are ordered and have not begun.
    """

    def __init__(self, market: Market, *, clock: Clock, ledger_mb: float = LEDGER_MB) -> None:
        self.market = market
        self.faults = Faults()
        self.authority = Authority()
        self.ledger = Ledger()
        self.truth = Truth(market, budget_mb=ledger_mb)
        self.streams = Streams(Feed(market, self.faults), self.faults, self.truth)
        self.messages_sent = 0
        self._clock = clock
        self._on_failure: Callable[[BaseException], None] | None = None
        self._rest = Rest(market, self.faults, secret=secrets.token_bytes(32), proxies=self._harvested)
        self._hosts = Hosts(self._rest, self.streams, self.faults, self.ledger, clock=clock)
        self._gate = Gate(self._hosts, self.ledger, self.authority, clock=clock)
        self._fleet: Fleet | None = None
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._faults_ordered = 0
        self.waiting: list[Fault] = []

    @property
    def sinks(self) -> Sinks:
        """Return the mails and webhook calls that came."""
        return self._rest.sinks

    @property
    def refused_hosts(self) -> Counter[str]:
        return self._hosts.refused

    @property
    def errors(self) -> list[Exception]:
        """Faults of this program that came up while it served a client, the last ones."""
        return list(self._gate.errors)

    @property
    def proxy_url(self) -> str:
        return f"http://{address_of(self._servers[0])}"

    @property
    def fleet(self) -> Fleet:
        assert self._fleet is not None, "start() comes first"
        return self._fleet

    async def start(self, host: str, port: int, *, on_failure: Callable[[BaseException], None]) -> None:
        """Listen and trade; FixByHand unless `host` is a loopback address, RetryLater if the port is taken.

        `on_failure` gets the error if the walk ends: there is no market without it.
        """
        direct = Guise(kind=KINDS["good"], address=DIRECT, protocol="http", exit=DIRECT_EXIT)

        async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._gate.serve(direct, reader, writer, refuse=self.faults.refuse_connections)

        self._on_failure = on_failure
        self._servers.append(await listen(client, host, port, key="--listen"))
        self._fleet = Fleet(self._gate, host=host, on_failure=on_failure)
        self._spawn(self._trade(), name="practice-market")

    async def stop(self) -> None:
        """End every connection and the walk."""
        await cancel_all([*self._tasks])
        for server in self._servers:
            server.close()
        if self._fleet is not None:
            await self._fleet.stop()
        await self._gate.stop()
        await self._clock.sleep(0)  # the aborted transports close in the loop's next round

    def order(self, fault: Fault) -> int:
        """Let `fault` happen when its time comes; return its number."""
        self._faults_ordered += 1
        fault.number = self._faults_ordered
        self.waiting.append(fault)
        self.schedule(fault.at_s, lambda: self._begin(fault))
        return fault.number

    def schedule(self, at_s: float, action: Callable[[], None]) -> None:
        """Call `action` in `at_s` seconds; at once for 0."""
        if at_s:
            self._spawn(self._later(at_s, action), name="practice-schedule")
        else:
            action()

    def clear(self, faults: Iterable[Fault]) -> None:
        """End these faults now; one that waits for its time never comes."""
        for fault in list(faults):
            if fault in self.waiting:
                self.waiting.remove(fault)
                continue
            if fault not in self.faults.active:
                continue
            self.faults.remove(fault)
            log.info("practice_fault_ended", fault=fault.kind.name, number=fault.number)

    def close_streams(self, code: int | None = None) -> None:
        """Close every stream: with a close code, or with None by a TCP reset."""
        self.streams.close(code)

    def answer_status(self, path: str, status: int, body: bytes = b"", times: int = 1) -> None:
        """Answer the next `times` requests for `path` with `status` and `body`."""
        self.faults.answer_status(path, status, body, times)

    def advance(self, now: datetime) -> None:
        """Move the market to `now` and tell the stream's clients."""
        before_s = self.market.now_s
        traded = self.market.advance(now)
        if (playback := self.streams.playback) is not None:
            self._play(playback, now)
            if self.market.now_s == before_s:
                return
            traded = [stock for stock in traded if playback.is_over and stock is self.market.canary]
        self.truth.trade(self.market.now_s, traded)
        self.messages_sent += self.streams.publish(traded)

    def happen(self, event: str, ticker: str, **details: object) -> None:
        """Let one of the market's events happen to `ticker`, and tell who listens if that was a trade."""
        getattr(self.market, event)(ticker, **details)
        stock = self.market.stocks.get(ticker)
        traded = stock is not None and stock.trade_time_s == self.market.now_s
        if stock is not None and (traded or event == "split"):  # which restates the last trade, also of a closed market
            self.truth.trade(self.market.now_s, [stock])
        if stock is not None and traded:
            self.messages_sent += self.streams.publish([stock])

    def play(self, playback: Playback) -> None:
        """Let stream and quotes be those of a recording from now on. Of the walk only the canary is told, and only when
        the recording is over: connections then stay proven."""
        self.streams.playback = playback
        self._rest.row = lambda symbol: playback.row(symbol, self._clock.utc_now())

    def _harvested(self) -> list[Proxy]:
        """Return the fleet as the lists of free proxies name it."""
        found: list[Proxy] = []
        for member in self.fleet.members():
            host, port = split_address(member.address, key="fleet")
            found.append(Proxy(protocol=member.protocol.removesuffix("a"), host=host, port=port))
        return found

    async def _later(self, at_s: float, action: Callable[[], None]) -> None:
        await self._clock.sleep(at_s)
        action()

    def _begin(self, fault: Fault) -> None:
        if fault not in self.waiting:
            return
        self.waiting.remove(fault)
        log.info("practice_fault_begun", fault=fault.kind.name, number=fault.number, for_s=fault.for_s)
        if fault.kind.once:
            self._strike(fault)
            return
        self.faults.add(fault)
        if fault.for_s is not None:
            self.schedule(fault.for_s, lambda: self.clear([fault]))

    def _strike(self, fault: Fault) -> None:
        numbers = fault.texts("connections")
        match fault.kind.name:
            case "close":
                self.streams.close(fault.whole("code"), numbers)
            case "reset":
                self.streams.close(None, numbers)
            case "half_open":
                self.streams.lose(numbers)

    def _play(self, playback: Playback, now: datetime) -> None:
        was_over = playback.is_over
        frames, refusals = playback.due(now)
        self.messages_sent += self.streams.play(frames)
        for refusal in refusals:
            self.answer_status(refusal.path, refusal.status, refusal.body)
        if playback.is_over and not was_over:
            log.info("practice_replay_ended", records=playback.records)

    async def _trade(self) -> None:
        while True:
            now = self._clock.utc_now()
            self.advance(now)
            await self._clock.sleep(1 - now.microsecond / 1e6 if self.streams.playback is None else PLAY_S)

    def _spawn(self, coroutine: Coroutine[None, None, None], *, name: str) -> None:
        assert self._on_failure is not None, "start() comes first"
        task = spawn(coroutine, name=name, on_error=self._on_failure)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
