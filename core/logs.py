"""Structured logs: one event a line, JSON or text, on standard error. Never raises because a line cannot be written."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec
import structlog

from core.clock import Clock, SystemClock, utc_text

Event = MutableMapping[str, Any]
Sentence = Callable[[Mapping[str, Any]], str]
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class LineSink:
    """Writes lines to a stream; counts, instead of raising, what a broken pipe or a full disk refuses."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.dropped = 0

    def is_terminal(self) -> bool:
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def msg(self, line: str) -> None:
        if self._stream is None:  # the process was started with `2>&-`
            self.dropped += 1
            return
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self.dropped += 1

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
