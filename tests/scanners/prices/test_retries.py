from __future__ import annotations

import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError, InvalidMessage, InvalidProxyMessage, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response

from scanners.prices.retries import Backoff, Pace, cause_of


def waits(*attempts: tuple[float, float], jitter: float = 1.0) -> list[float]:
    """Return the pause after each attempt, given as (began, lost)."""
    backoff = Backoff()
    return [backoff.wait_s(began_s=began_s, now_s=now_s, jitter=jitter) for began_s, now_s in attempts]


def test_the_first_retry_comes_after_an_eighth_to_a_quarter_of_a_second() -> None:
    assert waits((100.0, 100.0), jitter=0.0) == [0.125]
    assert waits((100.0, 100.0), jitter=1.0) == [0.25]


def test_who_has_been_away_for_five_seconds_is_tried_within_two_and_a_half() -> None:
    assert waits((100.0, 100.0), (105.0, 105.0)) == [0.25, 2.5]


def test_the_longest_pause_is_half_a_minute() -> None:
    assert waits((100.0, 100.0), (160.0, 160.0), (5000.0, 5000.0)) == [0.25, 30.0, 30.0]


def test_an_attempt_that_hung_is_part_of_its_pause() -> None:
    """After 18 s of trouble a pause is 9 s; the attempt has taken 8 of them."""
    assert waits((100.0, 100.0), (110.0, 118.0)) == [0.25, 1.0]


def test_a_connection_that_lived_for_a_minute_begins_anew() -> None:
    assert waits((100.0, 100.0), (160.0, 221.0), (225.0, 225.0))[2] == 2.0
    assert waits((100.0, 100.0), (160.0, 219.0), (225.0, 225.0))[2] == 30.0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=30), st.floats(0, 1))
def test_a_pause_is_never_none_and_never_longer_than_half_a_minute(
    steps: list[tuple[float, float]], jitter: float
) -> None:
    backoff, now_s = Backoff(), 1000.0
    for lived_s, between_s in steps:
        wait_s = backoff.wait_s(began_s=now_s, now_s=now_s + lived_s, jitter=jitter)
        assert 0.12 < wait_s <= 30.0
        now_s += lived_s + between_s


def test_connections_open_one_after_the_other_and_nobody_waits_after_a_rest() -> None:
    pace = Pace(0.5)
    assert [pace.turn_s(10.0), pace.turn_s(10.0), pace.turn_s(10.25), pace.turn_s(60.0)] == [0.0, 0.5, 0.75, 0.0]


CLOSED = Close(1001, "going away")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ConnectionClosedError(Close(1000, ""), None), "closed_1000"),
        (ConnectionClosedError(CLOSED, CLOSED, True), "closed_1001"),
        (ConnectionClosedError(None, None), "reset"),
        (ConnectionClosedError(None, Close(1011, "keepalive ping timeout")), "frozen"),
        (ConnectionClosedError(None, Close(1009, "")), "frame_too_large"),
        (ConnectionClosedError(Close(1009, ""), Close(1009, ""), False), "frame_too_large"),
        (ConnectionClosedError(None, Close(1002, "")), "bad_frame"),
        (ConnectionRefusedError(), "refused"),
        (ConnectionResetError(), "reset"),
        (socket.gaierror(-2, "Name or service not known"), "dns"),
        (ssl.SSLCertVerificationError(), "tls"),
        (TimeoutError(), "timeout"),
        (InvalidStatus(Response(503, "Busy", Headers())), "status_503"),
        (InvalidProxyMessage("nothing"), "proxy"),
        (InvalidMessage("no answer"), "unreachable"),
        (OSError(113, "No route to host"), "unreachable"),
    ],
    ids=str,
)
def test_each_loss_has_its_name(error: BaseException, cause: str) -> None:
    assert cause_of(error) == cause
