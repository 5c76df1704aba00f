from __future__ import annotations

import pytest

from core.clock import SystemClock
from screener.performance import Measured, advice, measure


class Sleeps(SystemClock):
    """Who sleeps takes no time, but the clock says so: at once is shorter than in a row on whatever machine."""

    slept_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.slept_s

    async def sleep(self, duration_s: float) -> None:
        until_s = self.slept_s + duration_s
        await super().sleep(0.0)
        self.slept_s = max(self.slept_s, until_s)


def test_each_way_is_measured_beside_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("screener.performance.WAITS", 5)
    monkeypatch.setattr("screener.performance.RUNS", 1)
    monkeypatch.setattr("screener.performance.WAIT_S", 1e4)
    found = measure(Sleeps(), tickers=12, bars=40, workers=2)
    names = [each.name for each in found]
    assert names[:2] == ["compute: one process", "compute: 2 threads"]
    assert [name.rsplit(": ", 1)[1] for name in names[-3:]] == ["one after the other", "5 threads", "async"]
    assert all(each.took_s > 0 for each in found)
    assert found[0].times == found[-3].times == 1.0
    assert found[-1].times == pytest.approx(5.0, rel=0.1), "waits at once are shorter than waits in a row"


def test_the_advice_says_whether_processes_pay() -> None:
    forked = Measured(name="compute: 2 forked processes", took_s=0.1, times=1.7)
    assert "1.7 times" in advice([forked])
    assert "give nothing here" in advice([Measured(name="compute: 2 forked processes", took_s=0.1, times=0.9)])
