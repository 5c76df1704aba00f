"""A crowd of free proxies and Yahoo behind it, as numbers in virtual time. Pure: draws from a seed, opens nothing.

Latency: each proxy's median is 1.5 s times a lognormal of 0.5, each request a lognormal of 0.6 around it, 4 % of the
requests take 5 to 20 s more. Of the failures 45 % are quick, the others burn the whole timeout. A flaky proxy is good
and bad in turns; a bad turn comes every two minutes. Three shared exits of a hundred are limited already.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, field

from proxies.model import Cause

MEDIAN_S, SPREAD, NOISE, TAIL = 1.5, 0.5, 0.6, 0.04
QUICK_FAILURE, TURN_S = 0.45, 120.0
GOOD = 0.985
LIMITED_ALREADY = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`dead`, `flaky`: shares of the crowd; `works`: share of the time that a flaky one is good. `per_exit`: requests a
    minute before `penalty_s` of 429; `everywhere`: requests of all in ten seconds before 30 s of 429 for all."""

    name: str
    proxies: int = 100
    dead: float = 0.3
    flaky: float = 0.4
    works: float = 0.85
    per_exit: int = 5
    penalty_s: float = 120.0
    everywhere: int = 0
    outage: tuple[float, float] = (math.inf, math.inf)
    liars: float = 0.0


SCENARIOS = (
    Scenario(name="A: 100 proxies, 64 %"),
    Scenario(name="B: 46 %", works=0.41),
    Scenario(name="C: 22 %", dead=0.6, flaky=0.3, works=0.41),
    Scenario(name="D: 2 requests a minute an exit", per_exit=2, penalty_s=300.0),
    Scenario(name="E: 30 proxies", proxies=30),
    Scenario(name="F: 300 proxies", proxies=300),
    Scenario(name="G: 15 requests in 10 s, all exits", everywhere=15),
    Scenario(name="H: Yahoo away for 120 s", outage=(30.0, 150.0)),
)


@dataclass(slots=True)
class Proxy:
    """`p`: how likely a request succeeds in a good turn; `turns`: the seconds at which good and bad change."""

    number: int
    p: float
    median_s: float
    turns: list[float]
    starts_good: bool
    is_liar: bool = False
    taken_s: deque[float] = field(default_factory=deque)
    limited_until_s: float = 0.0

    def is_good(self, now_s: float) -> bool:
        return self.starts_good ^ (sum(1 for turn in self.turns if turn <= now_s) % 2 == 1)


class World:
    """The crowd of one run. `requests` counts all that were sent."""

    def __init__(self, scenario: Scenario, seed: int, *, horizon_s: float = 1300.0) -> None:
        self.scenario, self.rng = scenario, random.Random(seed)
        self.requests = 0
        self._all_s: deque[float] = deque()
        self._limited_until_s = 0.0
        self.proxies = [self._proxy(number, horizon_s) for number in range(scenario.proxies)]

    def _proxy(self, number: int, horizon_s: float) -> Proxy:
        scenario, rng = self.scenario, self.rng
        place = number / scenario.proxies
        is_dead, is_flaky = place < scenario.dead, place < scenario.dead + scenario.flaky
        turns: list[float] = []
        good = is_good = not is_flaky or rng.random() < scenario.works
        if is_flaky and not is_dead:
            at_s = 0.0
            while at_s < horizon_s:
                share = scenario.works if is_good else 1.0 - scenario.works
                at_s += rng.expovariate(1.0 / (2 * TURN_S * share))
                turns.append(at_s)
                is_good = not is_good
        proxy = Proxy(
            number=number,
            p=0.0 if is_dead else GOOD,
            median_s=MEDIAN_S * rng.lognormvariate(0.0, SPREAD),
            turns=turns,
            starts_good=good,
            is_liar=not is_dead and rng.random() < scenario.liars,
        )
        if rng.random() < LIMITED_ALREADY:
            proxy.limited_until_s = scenario.penalty_s
        return proxy

    def request(self, proxy: Proxy, *, now_s: float, timeout_s: float, counts: bool = True) -> tuple[Cause, float]:
        """Send one request; return what it comes to and after how long. The cookie's host does not count them."""
        rng = self.rng
        self.requests += 1
        if not proxy.is_good(now_s) or rng.random() >= proxy.p:
            return ("refused", rng.uniform(0.05, 1.0)) if rng.random() < QUICK_FAILURE else ("timeout", timeout_s)
        latency_s = proxy.median_s * rng.lognormvariate(0.0, NOISE)
        if rng.random() < TAIL:
            latency_s += rng.uniform(5.0, 20.0)
        if latency_s > timeout_s:
            return "timeout", timeout_s
        return self._yahoo(proxy, now_s, counts), latency_s

    def is_limited(self, proxy: Proxy, now_s: float) -> bool:
        """Whether Yahoo would refuse its next request, as only an all-knowing one can tell."""
        recent = sum(1 for taken_s in proxy.taken_s if taken_s > now_s - 60.0)
        return now_s < proxy.limited_until_s or recent >= self.scenario.per_exit

    def room_everywhere(self, now_s: float) -> bool:
        recent = sum(1 for taken_s in self._all_s if taken_s > now_s - 10.0)
        return not self.scenario.everywhere or recent < self.scenario.everywhere

    def is_away(self, now_s: float) -> bool:
        return self.scenario.outage[0] <= now_s < self.scenario.outage[1]

    def _yahoo(self, proxy: Proxy, now_s: float, counts: bool) -> Cause:
        scenario = self.scenario
        if self.is_away(now_s):
            return "server_error"
        if not counts:
            return "ok"
        if scenario.everywhere and not self._passes_everywhere(now_s):
            return "yahoo_limit"
        if now_s < proxy.limited_until_s:
            return "yahoo_limit"
        while proxy.taken_s and proxy.taken_s[0] <= now_s - 60.0:
            proxy.taken_s.popleft()
        if len(proxy.taken_s) >= scenario.per_exit:
            proxy.limited_until_s = now_s + scenario.penalty_s
            return "yahoo_limit"
        proxy.taken_s.append(now_s)
        return "ok"

    def _passes_everywhere(self, now_s: float) -> bool:
        if now_s < self._limited_until_s:
            return False
        while self._all_s and self._all_s[0] <= now_s - 10.0:
            self._all_s.popleft()
        if len(self._all_s) >= self.scenario.everywhere:
            self._limited_until_s = now_s + 30.0
            return False
        self._all_s.append(now_s)
        return True
