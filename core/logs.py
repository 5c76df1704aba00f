"""Structured logs: one event a line, JSON or text, on standard error. Never raises or blocks because of its reader."""

from __future__ import annotations

import atexit
import io
import json
import logging
import math
import os
import queue
import stat
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec
import structlog

from core.clock import Clock, SystemClock, utc_text

Event = MutableMapping[str, Any]
Sentence = Callable[[Mapping[str, Any]], str]
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

QUEUE_LINES = 10_000  # what waits for a slow reader; further lines are dropped
FLUSH_S = 1.0  # what the end of the process waits for its last lines


class _Writer:
    """Writes to a pipe, socket or terminal from a thread of its own: a reader who does not read blocks only that.

    Not through the stream, whose lock a blocked thread would hold when the interpreter ends and flushes it.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines: queue.Queue[bytes] = queue.Queue(QUEUE_LINES)
        self.refused = 0
        threading.Thread(target=self._work, name="log-writer", daemon=True).start()
        atexit.register(self.flush)

    def put(self, line: bytes) -> bool:
        """Return False if too many lines wait already."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            return False
        return True

    def flush(self, timeout_s: float = FLUSH_S) -> None:
        """Wait, though not for long, until all lines are out."""
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, timeout_s)

    def _work(self) -> None:
        while True:
            line = self._lines.get()
            try:
                while line:
                    line = line[os.write(self._fd, line) :]
            except OSError:
                self.refused += 1
            self._lines.task_done()


_writers: dict[int, _Writer] = {}
"""One a descriptor, so that lines of several sinks come out in their order."""


def _writer_of(stream: TextIO | None) -> _Writer | None:
    """None where a write cannot wait for a reader (a file, or a stream in memory), and where a stream stands in for the
    descriptor, as that of a progress bar does: it must see the lines itself."""
    if not isinstance(stream, io.TextIOWrapper):
        return None
    try:
        fd = stream.fileno()
        mode = os.fstat(fd).st_mode
    except (OSError, ValueError):
        return None
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd)):
        return None
    if fd not in _writers:
        _writers[fd] = _Writer(fd)
    return _writers[fd]


class LineSink:
    """Writes lines to a stream; counts, instead of raising, what a broken pipe or a full disk refuses."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._writer = _writer_of(stream)
        self._dropped = 0

    @property
    def dropped(self) -> int:
        return self._dropped + (self._writer.refused if self._writer else 0)

    def is_terminal(self) -> bool:
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def msg(self, line: str) -> None:
        if self._stream is None:  # the process was started with `2>&-`
            self._dropped += 1
            return
        if self._writer is not None:
            text = (line + "\n").encode(self._stream.encoding, "backslashreplace")
            self._dropped += not self._writer.put(text)
            return
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._dropped += 1

    def flush(self) -> None:
        """Wait, though not for long, until all lines are out."""
        if self._writer is not None:
            self._writer.flush()

    log = debug = info = warning = warn = error = critical = exception = fatal = failure = msg


class Sparing:
    """Which of the events that repeat are due to be logged again: each key once in `every_s`."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._said_s: dict[str, float] = {}

    def is_due(self, key: str, *, now_s: float) -> bool:
        """True if `key` was not said within the last `every_s`; then it counts as said now."""
        due = now_s - self._said_s.get(key, -math.inf) >= self._every_s
        if due:
            self._said_s[key] = now_s
        return due


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of module `name`; safe at import, configured when the process starts."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(**{"log.logger": name})
    return logger


def configure(
    *,
    service: str,
    level: str,
    style: str,
    stream: TextIO | None = None,
    clock: Clock | None = None,
    sentences: Mapping[str, Sentence] | None = None,
    also: Callable[[bytes], None] | None = None,
) -> LineSink:
    """Set up logging for this process; return where its lines go.

    `style`: "json", "text", or "auto" (text on a terminal). `sentences`: events that text shows in set words.
    `also` receives each event as JSON bytes, whatever `style` is.
    """
    sink = LineSink(stream or sys.stderr)
    text = style == "text" or (style == "auto" and sink.is_terminal())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            _named(service, clock or SystemClock()),
            _copied(also),
            _Text(sentences or {}) if text else _json_line,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )
    return sink


def _named(service: str, clock: Clock) -> Callable[[Any, str, Event], Event]:
    pid = os.getpid()

    def name(_logger: Any, _method: str, event: Event) -> Event:
        head = {
            "@timestamp": utc_text(clock.utc_now()),
            "log.level": event.pop("level"),
            "message": event.pop("event"),
            "service.name": service,
            "process.pid": pid,
        }
        return head | dict(event)

    return name


def encode(event: Mapping[str, Any]) -> bytes:
    """Return one event as a line of JSON without its line end."""
    try:
        return msgspec.json.encode(event, enc_hook=str)
    except UnicodeEncodeError:  # a lone surrogate, as in a file name that is not UTF-8
        return json.dumps(event, default=str, separators=(",", ":")).encode()


def _copied(also: Callable[[bytes], None] | None) -> Callable[[Any, str, Event], Event]:
    def copy(_logger: Any, _method: str, event: Event) -> Event:
        if also is not None:
            also(encode(event))
        return event

    return copy


def _json_line(_logger: Any, _method: str, event: Event) -> str:
    return encode(event).decode()


def render_text(event: Mapping[str, Any], sentences: Mapping[str, Sentence] | None = None) -> str:
    """Return one event, as `encode` wrote it, for people: in set words where `sentences` has them."""
    return _Text(sentences or {})(None, "", dict(event))


class _Text:
    """Renders an event for people: set words where `sentences` has them, else time, level, event and keys."""

    HEAD = ("@timestamp", "log.level", "message", "service.name", "process.pid", "log.logger", "exception")

    def __init__(self, sentences: Mapping[str, Sentence]) -> None:
        self._sentences = sentences

    def __call__(self, _logger: Any, _method: str, event: Event) -> str:
        sentence = self._sentences.get(event["message"])
        if sentence is not None:
            return sentence(event)
        clock = datetime.fromisoformat(event["@timestamp"]).astimezone(UTC).strftime("%H:%M:%S")
        keys = " ".join(f"{key}={_short(value)}" for key, value in event.items() if key not in self.HEAD)
        line = f"{clock}Z {event['log.level']:<7} {event['service.name']}: {event['message']} {keys}".rstrip()
        return f"{line}\n{event['exception']}" if "exception" in event else line


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).splitlines())
