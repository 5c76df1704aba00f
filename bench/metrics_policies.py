"""Three ways to get a cycle's batches through the same crowd, in virtual time: ours, an all-knowing one, the seed's.

Ours is the product's own code: plan, rotation, breaker, staging. Sleeps nowhere.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from bench.metrics_model import Proxy, World
from market.quotes import Quote
from proxies.breaker import Breaker
from proxies.model import Address, Cause, Member
from proxies.rotation import LONGEST_TIMEOUT_S, Rotation
from scanners.metrics.plan import Ask, Heard, Plan
from scanners.metrics.staging import Judge, Version
from scanners.sweep import batches_of

TICKERS = tuple(f"T{number:04}" for number in range(8782))
BATCH, CONCURRENCY, REST_S, CYCLE_S, DEADLINE_S = 100, 8, 12.0, 600.0, 570.0
EPOCH = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
FUND_EACH = 3
"""One ticker of three is a fund, as on the real market: no earnings, no book, no market value."""


def _true(ticker: str, number: int) -> Quote:
    close = 10.0 + number
    price, shares = close + 0.1, 1_000_000 + 1000 * number
    company: dict[str, Any] = {
        "shares_outstanding": shares,
        "market_cap": shares * price,
        "earnings_per_share": close / 20,
        "pe_ratio": price / (close / 20),
        "forward_pe": 15.0,
        "book_value": close / 3,
        "price_to_book": price / (close / 3),
    }
    return Quote(
        ticker=ticker,
        previous_close=close,
        open_price=close,
        current_price=price,
        price_change=0.1,
        price_change_percent=100 * 0.1 / close,
        volume=50_000 + number,
        avg_volume_3mon=70_000 + number,
        days_low=0.99 * close,
        days_high=1.015 * close,
        week_52_low=0.7 * close,
        week_52_high=1.4 * close,
        bid_price=price - 0.01,
        ask_price=price + 0.01,
        bid_size=300,
        ask_size=200,
        dividend_yield=0.02,
        **(company if number % FUND_EACH else {}),
    )


TRUE: dict[str, Quote] = {ticker: _true(ticker, number) for number, ticker in enumerate(TICKERS)}
NUMBERS = tuple(name for name in Quote.__slots__ if isinstance(getattr(TRUE["T0001"], name), float | int))
Lie = Callable[[Mapping[str, Quote], int], dict[str, Quote]]
SEED_WORKERS, SEED_TRIES = 20, 3


@dataclass(slots=True)
class Outcome:
    """`took_s`: until the last batch, infinity if some never came; `share`: of them; `wrong`: tickers written."""

    took_s: float
    share: float
    requests: int
    wrong: int = 0
    banned: int = 0
    trips: int = 0


@dataclass(slots=True)
class Events:
    """Virtual time."""

    now_s: float = 0.0
    _heap: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _number: count[int] = field(default_factory=count)

    def at(self, when_s: float, then: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (when_s, next(self._number), then))

    def step(self, wake_s: float) -> bool:
        """Go on to the next event, or to `wake_s` if that is sooner; False if there is neither."""
        next_s = self._heap[0][0] if self._heap else math.inf
        wake_s = max(wake_s, self.now_s + 0.01)
        if min(next_s, wake_s) == math.inf:
            return False
        if wake_s < next_s:
            self.now_s = wake_s
            return True
        self.now_s, _, then = heapq.heappop(self._heap)
        then()
        return True


class Ours:
    """The product's plan against a modelled crowd; `lie`: what a liar makes of true quotes."""

    def __init__(self, world: World, *, lie: Lie = lambda quotes, _number: dict(quotes)) -> None:
        self.world, self._lie = world, lie
        self.lies = 0
        self._rotation = Rotation(rest_s=REST_S)
        self._judge = Judge(trusted=(), rng=world.rng)
        self._events = Events()
        self._members = {
            _address(proxy): Member(
                address=_address(proxy), state="live", ok=1, first_seen=EPOCH, exit_ip=_address(proxy).ip
            )
            for proxy in world.proxies
        }
        self._rotation.hold(self._members.values(), now=EPOCH, now_s=0.0)
        self.written: dict[str, Quote] = {}

    def cycle(self, *, begins_s: float, knows: bool) -> Outcome:
        """Run one cycle; `knows`: the table holds this session's numbers already."""
        events, before = self._events, self.world.requests
        events.now_s = max(events.now_s, begins_s)
        self._judge.known = TRUE if knows else {}
        plan = Plan(
            rotation=self._rotation,
            breaker=Breaker(most=CONCURRENCY),
            judge=self._judge,
            direct_after_s=math.inf,
            direct_vouches=False,
        )
        plan.begin(batches_of(TICKERS, BATCH))
        written: dict[str, Quote] = {}
        last_s = math.inf
        while not plan.is_over and events.now_s < begins_s + DEADLINE_S:
            ask = plan.next(now_s=events.now_s)
            if ask is not None:
                self._send(plan, ask, written)
                continue
            if not events.step(plan.wake_s(now_s=events.now_s)):
                break
        if len(written) == len(TICKERS):
            last_s = events.now_s - begins_s
        self.written |= written
        return Outcome(
            took_s=last_s,
            share=len(written) / len(TICKERS),
            requests=self.world.requests - before,
            wrong=sum(quote != TRUE[ticker] for ticker, quote in written.items()),
            banned=len(plan.banned),
            trips=len(plan.trips),
        )

    def _send(self, plan: Plan, ask: Ask, written: dict[str, Quote]) -> None:
        assert ask.member is not None
        events, member = self._events, ask.member
        proxy = self.world.proxies[member.address.port - 1]
        idle_s = self._rotation.idle_before_s(member)
        cause, took_s = self._turns(proxy, member, ask)

        def heard() -> None:
            now = EPOCH + timedelta(seconds=events.now_s)
            is_new = not member.has_identity
            said = Heard(now=now, now_s=events.now_s, idle_s=idle_s, latency_s=took_s, minted=is_new)
            if cause != "ok":
                plan.failed(ask, cause, said)
                return
            minted = replace(member, cookie="A3=x", crumb="y", minted_at=now) if is_new else member
            answered = replace(ask, member=minted)
            true = {ticker: TRUE[ticker] for ticker in ask.tickers}
            quotes = self._lie(true, proxy.number) if proxy.is_liar else true
            if not ask.is_testimony:
                self.lies += sum(quotes[ticker] != true[ticker] for ticker in quotes)
            for accepted in plan.answered(answered, Version(member.exit, quotes), said):
                written.update(accepted.version.quotes)

        events.at(events.now_s + took_s, heard)

    def _turns(self, proxy: Proxy, member: Member, ask: Ask) -> tuple[Cause, float]:
        """Send what this question needs: three requests where cookie and crumb are to be minted first."""
        took_s = 0.0
        for step in range(0 if not member.has_identity else 2, 3):
            at_s = self._events.now_s + took_s
            cause, more_s = self.world.request(proxy, now_s=at_s, timeout_s=ask.timeout_s, counts=step > 0)
            took_s += more_s
            if cause != "ok":
                return cause, took_s
        return "ok", took_s


def all_knowing(world: World, *, begins_s: float, minted: set[int]) -> Outcome:
    """Knows who is dead, whose turn is bad, who is limited and who is quick; not what the next draw brings."""
    events, before = Events(now_s=begins_s), world.requests
    left, busy, done = deque(range(-(-len(TICKERS) // BATCH))), set[int](), list[int]()
    total = len(left)
    while len(done) < total and events.now_s < begins_s + DEADLINE_S:
        proxy = _best(world, events.now_s, busy, minted) if left and len(busy) < 2 * CONCURRENCY else None
        if proxy is None:
            if not events.step(events.now_s + 1.0):
                break
            continue
        batch = left.popleft()
        busy.add(proxy.number)
        cause: Cause = "ok"
        took_s = 0.0
        for step in range(2 if proxy.number in minted else 0, 3):
            at_s = events.now_s + took_s
            cause, more_s = world.request(proxy, now_s=at_s, timeout_s=LONGEST_TIMEOUT_S, counts=step > 0)
            took_s += more_s
            if cause != "ok":
                break

        def heard(proxy: Proxy = proxy, batch: int = batch, cause: Cause = cause) -> None:
            busy.discard(proxy.number)
            if cause == "ok":
                minted.add(proxy.number)
                done.append(batch)
            else:
                left.append(batch)

        events.at(events.now_s + took_s, heard)
    is_done = len(done) == total
    return Outcome(
        took_s=events.now_s - begins_s if is_done else math.inf,
        share=len(done) / total,
        requests=world.requests - before,
    )


def _best(world: World, now_s: float, busy: set[int], minted: set[int]) -> Proxy | None:
    if world.is_away(now_s) or not world.room_everywhere(now_s):
        return None
    able = [
        proxy
        for proxy in world.proxies
        if proxy.number not in busy and proxy.p and proxy.is_good(now_s) and not world.is_limited(proxy, now_s)
    ]
    known = [proxy for proxy in able if proxy.number in minted]
    # To mint costs two requests: it waits for one that has, once it has enough of them.
    if not known and len(minted) >= 2 * CONCURRENCY:
        return None
    return min(known or able, key=lambda proxy: proxy.median_s, default=None)


def round_robin(world: World, *, begins_s: float) -> Outcome:
    """The seed's: twenty workers, proxies in turn, three tries for each batch."""
    events, before = Events(now_s=begins_s), world.requests
    left = deque((batch, 1) for batch in range(-(-len(TICKERS) // BATCH)))
    total, done, turn = len(left), list[int](), count()
    ended_s = math.inf

    def work() -> None:
        if not left:
            return
        batch, tries = left.popleft()
        proxy = world.proxies[next(turn) % len(world.proxies)]
        cause, took_s = world.request(proxy, now_s=events.now_s, timeout_s=LONGEST_TIMEOUT_S)

        def heard() -> None:
            if cause == "ok":
                done.append(batch)
            elif tries < SEED_TRIES:
                left.append((batch, tries + 1))
            work()

        events.at(events.now_s + took_s, heard)

    for _ in range(SEED_WORKERS):
        work()
    while events.step(math.inf):
        pass
    if len(done) == total:
        ended_s = events.now_s - begins_s
    return Outcome(took_s=ended_s, share=len(done) / total, requests=world.requests - before)


def _address(proxy: Proxy) -> Address:
    return Address("http", f"198.18.{proxy.number // 250}.{proxy.number % 250 + 1}", proxy.number + 1)


def every_number(factor_of: Callable[[int], float]) -> Lie:
    """Return a liar that changes every number by its factor."""
    return lambda quotes, number: {each: _scaled(quote, factor_of(number)) for each, quote in quotes.items()}


def one_ticker(rng: random.Random, change: Callable[[Quote], Quote]) -> Lie:
    """Return a liar that changes one ticker of each answer."""

    def lie(quotes: Mapping[str, Quote], _number: int) -> dict[str, Quote]:
        ticker = rng.choice(sorted(quotes))
        return {**quotes, ticker: change(quotes[ticker])}

    return lie


def one_number(rng: random.Random) -> Callable[[Quote], Quote]:
    """Any one of a ticker's numbers, by 2 %."""

    def change(quote: Quote) -> Quote:
        name = rng.choice([each for each in NUMBERS if getattr(quote, each) is not None])
        return replace(quote, **{name: 1.02 * getattr(quote, name)})

    return change


def only(name: str) -> Callable[[Quote], Quote]:
    """This number alone, by 2 %."""
    return lambda quote: replace(quote, **{name: 1.02 * getattr(quote, name)}) if getattr(quote, name) else quote


def price_and_change(quote: Quote) -> Quote:
    """A price and the change that goes with it: the row adds up."""
    price, change = quote.current_price or 0.0, quote.price_change or 0.0
    more = 0.02 * price
    percent = 100.0 * (change + more) / (price - change)
    return replace(quote, current_price=price + more, price_change=change + more, price_change_percent=percent)


def all_of_it(quote: Quote) -> Quote:
    return _scaled(quote, 1.02)


def _scaled(quote: Quote, factor: float) -> Quote:
    told = {name: getattr(quote, name) for name in NUMBERS}
    return replace(quote, **{name: number * factor for name, number in told.items() if number is not None})
