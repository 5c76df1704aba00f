from __future__ import annotations

import asyncio
from collections.abc import Sequence

from api.streams.hub import KEPT, Hub, Message
from api.streams.listener import NUMBERED_AT_ONCE, QUOTES_A_FRAME, Listener, Piece
from core.clock import SystemClock


class Stored:
    """What is in SQL: every number up to `newest`."""

    def __init__(self, newest: int = 0) -> None:
        self.newest = newest
        self.asked: list[tuple[str, int]] = []

    async def read(self, channel: str, since: int, *, most: int) -> list[Message]:
        self.asked.append((channel, since))
        return [Message({"n": seq}, seq) for seq in range(since + 1, min(since + most, self.newest) + 1)]


def rows(tickers: Sequence[str], shared: tuple[int, int] | None) -> bytes:
    return f"{','.join(tickers)}|{shared}".encode()


def listener(hub: Hub, stored: Stored | None = None) -> Listener:
    return Listener(hub, stored or Stored(), rows)


def take(one: Listener) -> list[Piece]:
    return asyncio.run(one.take())


def told(pieces: list[Piece]) -> list[tuple[str, str, int]]:
    return [(piece.channel, piece.kind, piece.seq) for piece in pieces]


def numbered(*seqs: int) -> list[Message]:
    return [Message({"n": seq}, seq) for seq in seqs]


def test_news_that_came_before_one_waits_are_news() -> None:
    async def waits() -> None:
        hub = Hub()
        one = listener(hub)
        one.want_numbered("signals", None)
        await asyncio.wait_for(one.news(), 30)
        await one.take()
        waiting = asyncio.ensure_future(one.news())
        await SystemClock().sleep(0)
        assert not waiting.done()
        hub.signals.add(numbered(1))
        await asyncio.wait_for(waiting, 30)
        assert told(await one.take()) == [("signals", "", 1)]

    asyncio.run(waits())


def test_quotes_are_told_once_however_often_they_changed_meanwhile() -> None:
    hub = Hub()
    hub.quotes.change({"A"})
    some, all_ = listener(hub), listener(hub)
    some.want_quotes(frozenset("AB"), snapshot=True)
    all_.want_quotes(None, snapshot=False)
    assert [piece.rows for piece in take(some)] == [b"A|None"] and take(all_) == []
    for _ in range(5):
        hub.quotes.change({"B", "C"})
    assert sorted(take(some)[0].rows.split(b"|")[0].split(b",")) == [b"B"]
    assert sorted(take(all_)[0].rows.split(b"|")[0].split(b",")) == [b"B", b"C"]
    some.drop_quotes(frozenset("B"))
    hub.quotes.change({"B"})
    assert take(some) == []
    some.drop_quotes(None)
    assert some not in hub.quotes.listeners and some.subscriptions == {}


def test_who_asks_for_more_quotes_misses_none_that_were_on_their_way() -> None:
    hub = Hub()
    one = listener(hub)
    one.want_quotes(frozenset("A"), snapshot=True)
    hub.quotes.change({"A"})
    one.want_quotes(frozenset("B"), snapshot=False)
    assert [piece.rows for piece in take(one)] == [b"A|None"]


def test_a_whole_market_of_quotes_comes_in_frames() -> None:
    hub = Hub()
    hub.quotes.change({f"T{number}" for number in range(QUOTES_A_FRAME + 1)})
    one = listener(hub)
    one.want_quotes(None, snapshot=True)
    sizes = [len(piece.rows.split(b",")) for _ in range(3) for piece in take(one)]
    assert sizes[0] >= QUOTES_A_FRAME and len(sizes) == 2


def test_a_late_listener_is_told_every_number_first_from_sql_then_from_hand() -> None:
    hub, stored = Hub(), Stored(newest=KEPT + 700)
    hub.events.add(numbered(*range(1, KEPT + 701)))
    one = listener(hub, stored)
    one.want_numbered("events", 0)
    seen: list[int] = []
    for _ in range(40):
        seen += [piece.seq for piece in take(one)]
    assert seen == list(range(1, KEPT + 701)) and len(stored.asked) == 4
    assert one.wants.since["events"] == KEPT + 700


def test_from_now_on_means_from_the_newest_and_a_number_of_the_future_means_the_same() -> None:
    hub = Hub()
    hub.signals.add(numbered(1, 2, 3))
    now, future = listener(hub), listener(hub)
    now.want_numbered("signals", None)
    future.want_numbered("signals", 999)
    hub.signals.add(numbered(4))
    assert told(take(now)) == told(take(future)) == [("signals", "", 4)]


def test_the_end_of_a_scan_comes_after_its_last_result_and_once() -> None:
    hub, stored = Hub(), Stored(newest=NUMBERED_AT_ONCE + 5)
    scan = hub.scan("s")
    scan.add(numbered(*range(1, NUMBERED_AT_ONCE + 6)))
    scan.say({"status": "complete"}, ended=True)
    one = listener(hub, stored)
    one.want_scan("s")
    first = take(one)
    assert {piece.kind for piece in first} == {"result"} and len(first) == NUMBERED_AT_ONCE
    assert not one.scans_are_over
    second = take(one)
    assert [piece.kind for piece in second] == ["result"] * 5 + ["progress", "complete"]
    assert one.scans_are_over and take(one) == []


def test_a_listener_that_comes_back_gets_the_rest_and_the_end() -> None:
    hub = Hub()
    scan = hub.scan("s")
    scan.add(numbered(2, 4, 6))
    scan.say({"status": "running"}, ended=False)
    one = listener(hub)
    one.want_scan("s", 4)
    assert told(take(one)) == [("s", "result", 6), ("s", "progress", 0)]
    scan.say({"status": "complete"}, ended=True)
    assert [piece.kind for piece in take(one)] == ["progress", "complete"]


def test_states_begin_with_the_newest_of_each() -> None:
    hub = Hub()
    hub.states["prices"] = Message({"process": "prices"})
    hub.scanners.change({"prices"})
    one = listener(hub)
    one.want_states()
    assert [piece.message.payload for piece in take(one) if piece.message] == [{"process": "prices"}]
    one.drop_states()
    assert one not in hub.scanners.listeners


def test_the_mark_of_an_event_holds_the_place_in_every_numbered_channel() -> None:
    hub = Hub()
    one = listener(hub)
    one.want_numbered("signals", None)
    assert one.mark_of(Piece("signals", seq=3)) == "3"
    hub.events.add(numbered(40))
    one.want_numbered("events", None)
    assert one.mark_of(Piece("signals", seq=5)) == "signals=5;events=40"
    one.leave()
    assert not hub.signals.listeners and not hub.events.listeners


def test_while_what_is_listened_to_changes_news_wait() -> None:
    async def waits() -> None:
        hub = Hub()
        one = listener(hub)
        one.hold()
        one.want_numbered("signals", None)
        waiting = asyncio.ensure_future(one.news())
        await SystemClock().sleep(0)
        hub.signals.add(numbered(1))
        await SystemClock().sleep(0)
        assert not waiting.done()
        one.release()
        await asyncio.wait_for(waiting, 30)
        assert told(await one.take()) == [("signals", "", 1)]

    asyncio.run(waits())
