from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection

from core.clock import SystemClock
from core.errors import FixByHand
from core.flight import Header, Record
from simulator import testing
from simulator.stream.replay import Playback, Refusal, Tempo, moved
from tests.fix_simulator import NOON, StillClock, YahooClient, pricing_schema
from tests.simulator.stream.test_streams import open_stream

DATA = Path(__file__).parents[2] / "data"
FRAMES: list[dict[str, Any]] = json.loads((DATA / "pricing_frames.json").read_text(encoding="utf-8"))
TEXTS = [json.dumps({"type": "pricing", "message": frame["message"]}, separators=(",", ":")) for frame in FRAMES]
HEARD = datetime(2026, 8, 5, 13, 43, 16, tzinfo=UTC)
QUOTE = "https://query1.finance.yahoo.com/v7/finance/quote"
PRICING = pricing_schema()
SECOND = timedelta(seconds=1)


def a_day_later(time_ms: int) -> int:
    return time_ms + 86_400_000


def index_of(ticker: str, price: float) -> int:
    return next(n for n, frame in enumerate(FRAMES) if frame["decoded"]["id"] == ticker and near(frame, price))


def near(frame: dict[str, Any], price: float) -> bool:
    return bool(frame["decoded"]["price"] == price)


APPLE = TEXTS[index_of("AAPL", 307.2)]
"""Traded 2026-08-05T13:43:15Z, heard a second later."""


def frame(text: str, *, after_s: float = 0.0, source: str = "0") -> Record:
    return Record(at=HEARD + after_s * SECOND, kind="frame", source=source, text=text)


def answer(body: str, *symbols: str, after_s: float = 0.0, status: int = 200) -> Record:
    source = f"{QUOTE}?{urlencode({'symbols': ','.join(symbols)})}"
    return Record(at=HEARD + after_s * SECOND, kind="answer", source=source, status=status, text=body)


def quotes(*rows: dict[str, Any]) -> str:
    return json.dumps({"quoteResponse": {"result": list(rows), "error": None}})


def segment(file: Path, *records: Record) -> Path:
    encoder = msgspec.json.Encoder()
    file.write_bytes(gzip.compress(encoder.encode_lines([Header(tickerd_flight=1, scanner="test"), *records])))
    return file


def playing(folder: Path, *records: Record, began_at: datetime = NOON, speed: float = 1.0) -> Playback:
    return begun(Playback([segment(folder / "report.jsonl.gz", *records)], speed=speed), began_at)


def begun(playback: Playback, at: datetime = NOON) -> Playback:
    """Let somebody listen before the first frame is due."""
    playback._tempo = Tempo(first_at=playback._first_at, began_at=at, speed=playback._speed)
    return playback


def decoded(payload: bytes) -> Any:
    return PRICING.FromString(b64decode(json.loads(payload)["message"]))


def wires(payload: bytes) -> dict[str, Any]:
    """Return every field of a frame as yfinance's schema reads it, but for the time."""
    message = decoded(payload)
    return {field.name: value for field, value in message.ListFields() if field.name != "time"}


@pytest.mark.parametrize("text", TEXTS)
def test_a_frame_that_is_moved_by_nothing_is_the_recorded_one_byte_for_byte(text: str) -> None:
    assert moved(text.encode(), lambda time_ms: time_ms)[1] == text.encode()


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_a_moved_frame_differs_in_its_time_alone(number: int) -> None:
    symbol, later = moved(TEXTS[number].encode(), a_day_later)
    assert symbol == FRAMES[number]["decoded"]["id"]
    assert decoded(later).time == int(FRAMES[number]["decoded"]["time"]) + 86_400_000
    assert wires(later) == wires(TEXTS[number].encode())
    unknown_kept = len(b64decode(json.loads(later)["message"])) - len(b64decode(FRAMES[number]["message"]))
    assert unknown_kept == 0  # fields that the schema does not name are still there


@pytest.mark.parametrize(
    "text", ["hello", "[]", '{"type":"ping"}', '{"message":7}', '{"message":"?!"}', '{"message":"CgRB"}']
)
def test_what_is_no_frame_is_played_as_it_is(text: str) -> None:
    assert moved(text.encode(), a_day_later) == ("", text.encode())


@given(raw=st.binary(max_size=60))
def test_no_bytes_upset_it(raw: bytes) -> None:
    moved(raw, a_day_later)
    moved(json.dumps({"message": b64encode(raw).decode()}).encode(), a_day_later)
    moved(json.dumps({"message": b64encode(b"\x18" + raw).decode()}).encode(), a_day_later)  # begins as a time does


def test_frames_come_in_their_order_and_with_their_spacing(tmp_path: Path) -> None:
    played = playing(tmp_path, *(frame(text, after_s=3 * n) for n, text in enumerate(TEXTS[:3])))
    times = [NOON + second * SECOND for second in (-1, 0, 2.9, 3, 100)]
    assert [len(played.due(now)[0]) for now in times] == [0, 1, 0, 1, 1]
    assert played.is_over


@pytest.mark.parametrize("ask", [lambda played: played.snapshot(["AAPL"]), lambda played: played.row("F", NOON)])
def test_a_recording_begins_when_the_first_client_asks(tmp_path: Path, ask: Callable[[Playback], object]) -> None:
    played = Playback([segment(tmp_path / "report.gz", frame(TEXTS[0]), frame(APPLE, after_s=3))])
    assert played.due(NOON) == ([], [])
    ask(played)
    later = NOON + 60 * SECOND
    assert len(played.due(later)[0]) == 1
    assert played.due(later + 2.9 * SECOND) == ([], [])
    ((apple,), _) = played.due(later + 3 * SECOND)
    assert decoded(apple.payload).time / 1000 == (later - SECOND).timestamp()  # heard four seconds after its trade


def test_a_speed_of_ten_plays_a_minute_in_six_seconds(tmp_path: Path) -> None:
    played = playing(tmp_path, frame(TEXTS[0]), frame(APPLE, after_s=60), speed=10)
    assert len(played.due(NOON + 5.9 * SECOND)[0]) == 1
    (apple,), _ = played.due(NOON + 6 * SECOND)
    # Heard 61 s after its trade: that, too, is a tenth now.
    assert decoded(apple.payload).time / 1000 == (NOON + 6 * SECOND - 6.1 * SECOND).timestamp()


@given(
    times_ms=st.lists(st.integers(0, 2**44), min_size=2),
    speed=st.floats(0.001, 1000),
    began_at=st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1), max_value=datetime(2037, 1, 1)),
)
def test_no_trade_overtakes_a_later_one_at_any_speed(times_ms: list[int], speed: float, began_at: datetime) -> None:
    tempo = Tempo(first_at=HEARD, began_at=began_at, speed=speed)
    told = [tempo.moved_ms(time_ms) for time_ms in sorted(times_ms)]
    assert told == sorted(told)


@given(time_ms=st.integers(10**12, 2 * 10**12), after_s=st.floats(-1e6, 1e6))
def test_at_its_own_speed_times_move_by_whole_seconds(time_ms: int, after_s: float) -> None:
    tempo = Tempo(first_at=HEARD, began_at=HEARD + after_s * SECOND, speed=1.0)
    assert (tempo.moved_ms(time_ms) - time_ms) % 1000 == 0


def test_exchange_times_move_with_the_recording(tmp_path: Path) -> None:
    played = playing(tmp_path, frame(APPLE))
    ((apple,), _) = played.due(NOON)
    assert apple.symbol == "AAPL"
    assert decoded(apple.payload).time / 1000 == (NOON - SECOND).timestamp()


def test_at_its_own_time_a_recording_is_played_byte_for_byte(tmp_path: Path) -> None:
    played = playing(tmp_path, frame(APPLE), frame("hello", after_s=1), began_at=HEARD + 0.3 * SECOND)
    frames, _ = played.due(HEARD + 9 * SECOND)
    assert [each.payload for each in frames] == [APPLE.encode(), b"hello"]
    assert [each.symbol for each in frames] == ["AAPL", "AAPL"]


def test_what_names_no_ticker_goes_where_the_last_of_its_connection_went(tmp_path: Path) -> None:
    binary = Record(at=HEARD, kind="frame", source="3", base64=b"\xff")
    heard = [binary, frame(APPLE, source="3"), frame(TEXTS[0], source="4"), binary]
    frames, _ = playing(tmp_path, *heard).due(NOON)
    assert [(each.symbol, each.is_text) for each in frames] == [
        ("BTC-USD", False),
        ("AAPL", True),
        ("MSFT", True),
        ("AAPL", False),
    ]


def test_what_several_connections_heard_is_played_once_and_what_one_heard_twice_twice(tmp_path: Path) -> None:
    heard = [frame(APPLE, source=source) for source in ("0", "1", "2", "0", "0")]
    frames, _ = playing(tmp_path, *heard).due(NOON)
    assert len(frames) == 3


def test_who_subscribes_late_gets_the_newest_frame_that_was_played(tmp_path: Path) -> None:
    played = playing(tmp_path, frame(TEXTS[0]), frame(TEXTS[1], after_s=10))
    assert played.snapshot(["MSFT", "AAPL"]) == []
    for second, text in ((0, TEXTS[0]), (10, TEXTS[1])):
        played.due(NOON + second * SECOND)
        (newest,) = played.snapshot(["MSFT", "AAPL"])
        assert newest.symbol == "MSFT"
        assert decoded(newest.payload).price == decoded(text.encode()).price


def test_a_ticker_s_quote_is_the_newest_answered_and_before_it_the_first(tmp_path: Path) -> None:
    traded_s = int(HEARD.timestamp()) - 5
    played = playing(
        tmp_path,
        frame(APPLE),
        answer(quotes({"symbol": "F", "bid": 1.0, "regularMarketTime": traded_s}), "F", after_s=60),
        answer(quotes({"symbol": "F", "bid": 2.0, "regularMarketTime": traded_s}), "F", after_s=120),
    )
    assert played.row("AAPL", NOON) is None
    assert played.row("F", NOON) == {"symbol": "F", "bid": 1.0}  # its trade's time would be ahead of the frames
    minute = NOON + 60 * SECOND
    assert played.row("F", minute) == {"symbol": "F", "bid": 1.0, "regularMarketTime": int(NOON.timestamp()) - 5}
    later = NOON + 121 * SECOND
    played.due(later)
    assert played.row("F", later) == {"symbol": "F", "bid": 2.0, "regularMarketTime": int(NOON.timestamp()) - 5}


@pytest.mark.parametrize(
    ("status", "body"), [(429, "Too Many Requests"), (200, "<html>"), (200, '{"quoteResponse":{"resu'), (200, "[]")]
)
def test_an_answer_without_quotes_is_given_once_more_when_its_time_comes(
    tmp_path: Path, status: int, body: str
) -> None:
    played = playing(tmp_path, frame(APPLE), answer(body, "F", after_s=5, status=status))
    assert played.due(NOON + 4 * SECOND)[1] == []
    refusal = Refusal(path="/v7/finance/quote", status=status, body=body.encode())
    assert played.due(NOON + 5 * SECOND)[1] == [refusal]


def test_several_files_are_one_recording(tmp_path: Path) -> None:
    files = [
        segment(tmp_path / "two.gz", frame(TEXTS[1], after_s=1), frame(TEXTS[3], after_s=3)),
        segment(tmp_path / "one.gz", frame(TEXTS[0]), frame(TEXTS[2], after_s=2)),
    ]
    played = begun(Playback(files))
    prices = [decoded(each.payload).price for each in played.due(NOON + 9 * SECOND)[0]]
    assert prices == [decoded(text.encode()).price for text in TEXTS[:4]]
    assert (played.records, played.unreadable) == (4, 0)


def test_a_folder_stands_for_its_segments(tmp_path: Path) -> None:
    segment(tmp_path / "00000001-20260805T134316Z.jsonl.gz", frame(APPLE))
    (tmp_path / "note.txt").write_text("mine")
    assert len(begun(Playback([tmp_path])).due(NOON)[0]) == 1


def test_a_record_that_cannot_be_read_is_counted_and_the_rest_is_played(tmp_path: Path) -> None:
    file = segment(tmp_path / "report.gz", frame(APPLE))
    file.write_bytes(file.read_bytes() + gzip.compress(b"hello\n"))
    played = begun(Playback([file]))
    assert (played.records, played.unreadable) == (2, 1)
    assert len(played.due(NOON)[0]) == 1


def test_a_recording_without_a_record_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FixByHand, match=r"report.jsonl.gz: holds no record; give a recording that heard something"):
        playing(tmp_path)


def test_a_file_that_is_no_recording_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("hello")
    with pytest.raises(FixByHand, match="report: is not a recording"):
        Playback([tmp_path / "report"])


async def test_subscribers_get_the_recorded_frames_of_their_tickers_and_no_invented_price(tmp_path: Path) -> None:
    clock = StillClock(HEARD)
    file = segment(tmp_path / "report.gz", frame(APPLE), frame("hello", after_s=1), frame(TEXTS[0], after_s=2))
    async with testing.running(tmp_path, clock=clock) as practice:
        practice.server.play(Playback([file]))
        async with open_stream(practice) as stream:
            await stream.send(json.dumps({"subscribe": ["AAPL", "F", "BTC-USD"]}))
            await heard_by(practice)
            received = []
            for second in range(3):
                practice.server.advance(HEARD + second * SECOND)
                received.append(await texts(stream))
    assert received[:2] == [[APPLE], ["hello"]]
    (canary,) = received[2]  # MSFT was not asked for; the recording is over, so the market's own canary goes on
    assert decoded(canary.encode()).id == "BTC-USD"


async def test_a_late_subscriber_gets_the_newest_recorded_frame_and_a_mute_stream_none(tmp_path: Path) -> None:
    file = segment(tmp_path / "report.gz", frame(APPLE), frame(TEXTS[0], after_s=60))
    async with testing.running(tmp_path, clock=StillClock(HEARD)) as practice, open_stream(practice) as stream:
        practice.server.play(begun(Playback([file]), HEARD))
        practice.server.advance(HEARD)
        await stream.send(json.dumps({"subscribe": ["AAPL", "F", "MSFT"]}))
        assert await texts(stream) == [APPLE]
        practice.faults.mute_streams = True
        practice.server.advance(HEARD + 60 * SECOND)
        assert await texts(stream) == []


def test_the_process_plays_recorded_quotes_and_refusals_and_knows_no_other_ticker(tmp_path: Path) -> None:
    flights = DATA / "flights" / "real_frames_and_answers.jsonl.gz"
    refused = segment(tmp_path / "refused.gz", answer("Edge: Too Many Requests", "F", status=429))
    with testing.process(tmp_path, "--replay", str(flights), "--replay", str(refused), "--speed", "1000") as practice:
        client = YahooClient(practice.proxy_url, practice.ca_file)
        client.log_in()
        rows = client.quote(["BABA", "AAPL", "F"]).json()["quoteResponse"]["result"]
    assert [(row["symbol"], row["regularMarketPrice"]) for row in rows] == [("BABA", 265.67), ("AAPL", 136.76)]


def test_a_replay_of_what_is_no_recording_is_one_clear_line_and_exit_78(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("hello")
    command = [sys.executable, "-m", "simulator", "--replay", str(tmp_path / "report")]
    ended = subprocess.run(command, cwd=testing.ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (78, "")
    assert ended.stderr.startswith(f"tickerd: {tmp_path}/report: is not a recording; give ")
    assert ended.stderr.count("\n") == 1


async def heard_by(practice: testing.PracticeMarket) -> None:
    """Wait until the market has taken a subscription."""
    while not any(each.subscription.symbols for each in practice.server.streams.connections):
        await SystemClock().sleep(0.01)


async def texts(stream: ClientConnection) -> list[str]:
    """Return the frames that lie between us and the answer to a ping."""
    await asyncio.wait_for(await stream.ping(), 60)
    found: list[str] = []
    try:
        while True:
            found.append(str(await asyncio.wait_for(stream.recv(), 0.05)))
    except TimeoutError:
        return found


@pytest.mark.parametrize(("source", "status"), [("http://[", 429), (QUOTE, 99_999), (QUOTE, 10)])
def test_a_refusal_from_no_address_or_of_no_status_is_left_out(tmp_path: Path, source: str, status: int) -> None:
    odd = Record(at=HEARD, kind="answer", source=source, status=status, text="no")
    playback = Playback([segment(tmp_path / "odd.jsonl.gz", odd, frame(APPLE))])

    playback.snapshot(["AAPL"])
    frames, refusals = playback.due(NOON)

    assert ([each.symbol for each in frames], refusals) == (["AAPL"], [])


def test_what_is_nested_without_end_is_played_as_it_is() -> None:
    assert moved(b"[" * 200_000, a_day_later) == ("", b"[" * 200_000)
