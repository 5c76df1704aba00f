from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from api.auth.accounts import Accounts
from api.principals import LOCAL, Principal
from api.problems import Problem
from api.streams.doors import BEAT_S, STALLED_S, VALID_S, Doors, Stream
from api.streams.hub import Hub
from api.streams.listener import Listener, Piece
from core.settings import Api, Screener, Settings
from tests.fix_storage import StillClock

ANN = Principal(name="ann", kind="token", scopes=frozenset(("read",)), user_id=1)
BOB = Principal(name="bob", kind="token", scopes=frozenset(("read",)), user_id=2)
SETTINGS = Settings(
    api=Api(max_streams=4, max_streams_per_user=2), screener=Screener(max_concurrent_streams=1, stream_timeout_s=300.0)
)


@dataclass
class Allowed:
    """Who may still have streams; stands for the accounts and for their holders."""

    names: set[str] = field(default_factory=lambda: {"ann", "bob"})

    @property
    def holders(self) -> Allowed:
        return self

    async def still_holds(self, principal: Principal) -> bool:
        return principal.name in self.names


class Task:
    """A task that notes that it was cancelled."""

    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


def new_doors(allowed: Allowed | None = None, clock: StillClock | None = None) -> Doors:
    return Doors(cast(Accounts, allowed or Allowed()), SETTINGS, clock or StillClock())


def new_stream(principal: Principal = ANN, transport: Any = "websocket", *, of_scan: bool = False) -> Stream:
    listener = Listener(Hub(), cast(Any, None), cast(Any, None))
    return Stream(principal, transport, "/ws", listener, of_scan, task=cast(Any, Task()))


def is_cancelled(stream: Stream) -> bool:
    return bool(cast(Any, stream.task).cancelled)


def test_there_is_room_for_so_many_of_a_user_and_in_all() -> None:
    doors = new_doors()
    with doors.opened(new_stream(), "1"), doors.opened(new_stream(), "2"):
        with pytest.raises(Problem, match="too_many_streams") as caught, doors.opened(new_stream(), "3"):
            pass
        assert caught.value.status == 429 and len(doors.open) == 2
        with doors.opened(new_stream(BOB), "1"):
            assert len(doors.open) == 3
    assert not doors.open and doors.counts.errors == {("websocket", "too_many"): 1}


def test_streams_of_scans_have_a_bound_of_their_own() -> None:
    doors = new_doors()
    with (
        doors.opened(new_stream(of_scan=True), "1"),
        doors.opened(new_stream(BOB), "1"),
        pytest.raises(Problem, match="too_many_streams"),
        doors.opened(new_stream(BOB, of_scan=True), "1"),
    ):
        pass
    with doors.opened(new_stream(BOB, of_scan=True), "1"):
        pass


def test_who_goes_listens_no_longer() -> None:
    doors, stream = new_doors(), new_stream()
    hub = Hub()
    stream.listener = Listener(hub, cast(Any, None), cast(Any, None))
    stream.listener.want_numbered("signals", None)
    with doors.opened(stream, "1"):
        assert hub.signals.listeners
    assert not hub.signals.listeners


def test_a_client_that_takes_nothing_is_let_go() -> None:
    doors, slow, quick, idle = new_doors(), new_stream(), new_stream(BOB), new_stream(BOB)
    with doors.opened(slow, "1"), doors.opened(quick, "1"), doors.opened(idle, "1"):
        slow.sending_since_s, quick.sending_since_s = 100.0, 120.0
        doors.close_slow(100.0 + STALLED_S)
        assert not is_cancelled(slow)
        doors.close_slow(100.1 + STALLED_S)
        assert (is_cancelled(slow), slow.ending) == (True, "slow")
        assert not is_cancelled(quick) and not is_cancelled(idle)
    assert doors.counts.errors["websocket", "slow"] == 1


def test_who_may_no_longer_read_is_let_go() -> None:
    allowed, clock = Allowed(), StillClock()
    doors, ann, bob = new_doors(allowed, clock), new_stream(), new_stream(BOB)
    now_s = clock.monotonic_s()
    with doors.opened(ann, "1"), doors.opened(bob, "1"):
        allowed.names = {"bob"}
        asyncio.run(doors.close_refused(now_s + VALID_S - 1))
        assert not is_cancelled(ann)
        asyncio.run(doors.close_refused(now_s + VALID_S))
        assert (is_cancelled(ann), ann.ending, is_cancelled(bob)) == (True, "auth", False)


def test_a_silent_event_stream_is_asked_for_a_beat_and_a_silent_scan_is_over() -> None:
    clock = StillClock()
    doors, events, scan = new_doors(clock=clock), new_stream(transport="sse"), new_stream(BOB, of_scan=True)
    with doors.opened(events, "1"), doors.opened(scan, "1"):
        doors.beat(events.told_s + 1.0)
        assert not events.is_beat_due
        doors.beat(events.told_s + BEAT_S)
        assert events.is_beat_due and not is_cancelled(scan)
        doors.beat(scan.told_s + 301.0)
        assert is_cancelled(scan) and scan.ending == "idle"


def test_nobody_comes_in_while_the_server_stops() -> None:
    doors = new_doors()
    doors.close()
    with pytest.raises(Problem, match="stopping"), doors.opened(new_stream(LOCAL), "1"):
        pass


def test_what_was_told_is_counted_by_channel() -> None:
    doors, stream = new_doors(), new_stream()
    doors.told(stream, [Piece("signals", seq=1), Piece("scan_1", kind="result", seq=2), Piece("quotes")], 0.004)
    assert doors.counts.messages == {"signals": 1, "scan": 1, "quotes": 1}
    assert doors.counts.latency["websocket"].count == 1
