from __future__ import annotations

from dataclasses import dataclass

import pytest

from scanners.prices.health import StreamHealth, counts


@dataclass
class Line:
    """One connection as it is looked at."""

    opened_s: float | None = 0.0
    last_tick_s: float | None = None
    whole: bool = True

    def proven(self, *, now_s: float) -> bool:
        return self.whole


def test_one_connection_that_speaks_is_enough() -> None:
    health = StreamHealth(45.0, heard_s=0.0)
    assert health.look([Line(last_tick_s=99.0), Line(), Line(opened_s=None)], now_s=100.0) is None
    assert not health.is_mute
    assert health.heard_s == 99.0


def test_all_silent_for_the_limit_is_told_once_and_once_again_when_it_is_over() -> None:
    health = StreamHealth(45.0, heard_s=0.0)
    lines = [Line(last_tick_s=10.0), Line()]
    assert [health.look(lines, now_s=now_s) for now_s in (55.0, 55.1, 60.0)] == [None, "fell_silent", None]
    lines[1].last_tick_s = 61.0
    assert [health.look(lines, now_s=now_s) for now_s in (61.1, 62.0)] == ["heard_again", None]
    assert health.silent_s == 50.0


def test_at_the_start_silence_counts_from_the_start() -> None:
    health = StreamHealth(45.0, heard_s=1000.0)
    assert health.look([Line()], now_s=1045.0) is None
    assert health.look([Line()], now_s=1045.1) == "fell_silent"


@pytest.mark.parametrize(("limit_s", "after_s"), [(45.0, 3.0), (0.5, 0.5)])
def test_without_an_open_connection_it_is_mute_after_three_seconds(limit_s: float, after_s: float) -> None:
    health = StreamHealth(limit_s, heard_s=0.0)
    lines = [Line(opened_s=None, last_tick_s=10.0)]
    assert health.look(lines, now_s=10.0 + after_s) is None
    assert health.look(lines, now_s=10.1 + after_s) == "fell_silent"


def test_a_tick_before_a_reconnect_is_not_forgotten() -> None:
    health = StreamHealth(45.0, heard_s=0.0)
    line = Line(last_tick_s=50.0)
    health.look([line], now_s=51.0)
    line.last_tick_s = None
    assert health.look([line], now_s=90.0) is None


def test_connections_are_counted() -> None:
    lines = [Line(), Line(opened_s=None, whole=False), Line(whole=False)]
    assert counts(lines, now_s=0.0) == {"connections": 3, "open": 2, "proven": 1}
