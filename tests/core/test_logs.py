import fcntl
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from core import logs
from tests.fix_clock import FakeClock

ROOT = Path(__file__).parents[2]
AT = datetime(2026, 11, 23, 14, 30, 0, 7_000, tzinfo=UTC)
HEAD = ["@timestamp", "log.level", "message", "service.name", "process.pid"]
log = logs.get_logger("scanners.prices")


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def configured(style: str, *, level: str = "info", **options: Any) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(service="prices", level=level, style=style, stream=stream, clock=FakeClock(AT), **options)
    return stream


def test_a_json_line_opens_with_time_level_message_service_and_pid_then_come_the_keys() -> None:
    stream = configured("json")
    log.info("scanner_restarted", silent_s=31.2, name="prices")
    line = stream.getvalue()
    assert line.endswith("}\n") and line.count("\n") == 1
    event = json.loads(line)
    assert list(event)[:5] == HEAD
    assert event == {
        "@timestamp": "2026-11-23T14:30:00.007Z",
        "log.level": "info",
        "message": "scanner_restarted",
        "service.name": "prices",
        "process.pid": os.getpid(),
        "log.logger": "scanners.prices",
        "silent_s": 31.2,
        "name": "prices",
    }


def test_a_text_line_has_time_level_service_event_and_keys() -> None:
    stream = configured("text")
    log.warning("scanner_restarted", silent_s=31.23456789, restarts=3)
    assert stream.getvalue() == "14:30:00Z warning prices: scanner_restarted silent_s=31.2346 restarts=3\n"


def test_a_text_line_without_keys_has_no_blank_at_its_end() -> None:
    stream = configured("text")
    log.info("market_opened")
    assert stream.getvalue() == "14:30:00Z info    prices: market_opened\n"


def test_a_line_end_in_a_value_makes_no_second_line() -> None:
    texts = configured("text")
    log.info("failed", error="a\nFAKE line\r\nb")
    assert texts.getvalue() == "14:30:00Z info    prices: failed error=a FAKE line b\n"
    lines = configured("json")
    log.info("failed", error="a\nb")
    assert lines.getvalue().count("\n") == 1


def test_text_shows_chosen_events_in_set_words_and_json_never_does() -> None:
    def opened(event: Mapping[str, Any]) -> str:
        return f"[MARKET] open until {event['until']}"

    sentences = {"market_opened": opened}
    text = configured("text", sentences=sentences)
    log.info("market_opened", until="16:00")
    assert text.getvalue() == "[MARKET] open until 16:00\n"
    lines = configured("json", sentences=sentences)
    log.info("market_opened", until="16:00")
    assert json.loads(lines.getvalue())["message"] == "market_opened"


def test_auto_is_text_on_a_terminal_and_json_elsewhere() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    logs.configure(service="prices", level="info", style="auto", stream=terminal, clock=FakeClock(AT))
    log.info("market_opened")
    assert terminal.getvalue() == "14:30:00Z info    prices: market_opened\n"
    elsewhere = configured("auto")
    log.info("market_opened")
    assert elsewhere.getvalue().startswith('{"@timestamp"')


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_events_below_the_level_are_not_written(level: str, kept: list[str]) -> None:
    stream = configured("json", level=level)
    for method in ("debug", "info", "warning", "error"):
        getattr(log, method)("said")
    assert [json.loads(line)["log.level"] for line in stream.getvalue().splitlines()] == kept


def test_a_closed_stream_never_raises_and_each_line_is_counted() -> None:
    stream = io.StringIO()
    stream.close()
    sink = logs.configure(service="prices", level="info", style="auto", stream=stream)
    log.info("market_opened")
    logs.get_logger("another").info("market_opened")
    assert sink.dropped == 2


def test_a_full_disk_never_raises_and_each_line_is_counted() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        sink = logs.configure(service="prices", level="info", style="json", stream=full)
        log.info("market_opened")
        assert sink.dropped == 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


def in_a_process(code: str, **options: Any) -> subprocess.Popen[bytes]:
    setup = "import sys; from core import logs; sink = logs.configure(service='s', level='info', style='auto');"
    return subprocess.Popen([sys.executable, "-c", setup + code], stdin=subprocess.PIPE, cwd=ROOT, **options)


def test_a_broken_pipe_neither_stops_a_process_nor_changes_its_exit_code() -> None:
    code = "sys.stdin.read(); log = logs.get_logger('x'); log.info('a'); log.info('b'); sink.flush();"
    code += "sys.exit(40 + sink.dropped)"
    child = in_a_process(code, stderr=subprocess.PIPE)
    assert child.stderr is not None
    child.stderr.close()
    child.communicate()
    assert child.returncode == 42


def test_a_process_without_standard_error_runs_on() -> None:
    code = "logs.get_logger('x').info('a'); sys.exit(40 + sink.dropped)"
    child = in_a_process(code, preexec_fn=lambda: os.close(2))
    child.communicate()
    assert child.returncode == 41


def test_each_event_is_also_handed_on_as_json_whatever_the_style() -> None:
    copies: list[bytes] = []
    text = configured("text", also=copies.append)
    log.info("market_opened", count=1)
    assert json.loads(copies[0])["count"] == 1
    assert text.getvalue().startswith("14:30:00Z")


@pytest.mark.parametrize("style", ["json", "text"])
def test_an_exception_is_written_with_its_traceback(style: str) -> None:
    stream = configured(style)
    try:
        raise ValueError("spilt")
    except ValueError:
        log.exception("process_crashed")
    written = stream.getvalue()
    exception = json.loads(written)["exception"] if style == "json" else written.partition("\n")[2]
    assert exception.startswith("Traceback (most recent call last)")
    assert exception.rstrip().endswith("ValueError: spilt")


def test_a_stored_line_is_rendered_for_people_as_it_would_have_been() -> None:
    lines = configured("json")
    log.warning("scanner_restarted", restarts=3)
    event = json.loads(lines.getvalue())
    assert logs.render_text(event) == "14:30:00Z warning prices: scanner_restarted restarts=3"
    sentences: dict[str, logs.Sentence] = {"scanner_restarted": lambda event: f"again: {event['restarts']}"}
    assert logs.render_text(event, sentences) == "again: 3"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), None),
        (2**70, 2**70),
        (Path("/a"), "/a"),
        ("file \udcff", "file \udcff"),
        ({"a": (1, 2)}, {"a": [1, 2]}),
    ],
)
def test_every_value_can_be_written(value: object, written: object) -> None:
    stream = configured("json")
    log.info("said", value=value)
    assert json.loads(stream.getvalue())["value"] == written


def test_an_event_that_repeats_is_due_once_in_its_time_for_each_key() -> None:
    sparing = logs.Sparing(every_s=3600.0)
    asked = [("A", 0.0), ("A", 3599.0), ("B", 3599.0), ("A", 3600.0), ("A", 7199.0)]
    assert [sparing.is_due(key, now_s=now_s) for key, now_s in asked] == [True, False, True, True, False]


def full_pipe() -> tuple[int, int]:
    """A pipe whose reader has stopped reading: it takes nothing more."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * 4096)
    return reader, writer


def test_a_reader_who_does_not_read_holds_nobody_up_and_what_finds_no_room_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "QUEUE_LINES", 3)
    reader, writer = full_pipe()
    with open(writer, "w", encoding="utf-8") as stream:
        sink = logs.LineSink(stream)
        for number in range(10):
            sink.msg(str(number))
        assert sink.dropped in (6, 7)  # one more is in the hands of the writer, if that was quick
        os.read(reader, 4096)
        sink.flush()
        assert os.read(reader, 4096).splitlines()[:3] == [b"0", b"1", b"2"]
    os.close(reader)


def test_a_process_ends_although_nobody_reads_its_last_lines() -> None:
    reader, writer = full_pipe()
    child = in_a_process("logs.get_logger('x').info('a'); sys.exit(5)", stderr=writer)
    child.communicate(timeout=60)
    assert child.returncode == 5
    os.close(reader)
    os.close(writer)


def test_all_lines_are_out_before_the_process_ends_in_the_order_in_which_they_were_said() -> None:
    code = "log = logs.get_logger('x'); [log.info('a', n=n) for n in range(2000)]; logs.LineSink(sys.stderr).msg('end')"
    _, said = in_a_process(code, stderr=subprocess.PIPE).communicate()
    *lines, last = said.splitlines()
    assert [json.loads(line)["n"] for line in lines] == list(range(2000))
    assert last == b"end"


def test_a_stream_that_stands_in_for_a_terminal_sees_each_line_at_once() -> None:
    class Proxy(io.StringIO):
        def fileno(self) -> int:
            return leader

    leader, terminal = os.openpty()
    proxy = Proxy()
    logs.LineSink(proxy).msg("above the bar")
    assert proxy.getvalue() == "above the bar\n"
    os.close(leader)
    os.close(terminal)
