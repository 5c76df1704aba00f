"""Tells people what is amiss: when it comes, again each `repeat_s`, and when it is over. Never waits for their command.

The command gets one JSON document on its standard input; what it prints is in logs/alerts.jsonl.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from core.child import LIFE_VARIABLE
from core.clock import utc_text
from core.logs import encode, get_logger
from core.settings import Alerts as AlertSettings
from core.settings import Logging
from daemon.child_logs import ChildLog
from daemon.journal import Journal
from daemon.launch import OWN_NOTIFY_VARIABLES, Launch
from daemon.system import Process

VERSION = 1
LOG_NAME = "alerts"
COMMAND_S = 30.0  # what the command may take
LIFE = f'life=/proc/self/fd/${LIFE_VARIABLE}; [ -e "$life" ] && {{ read -r _ <"$life"; kill -KILL 0; }} &'
if sys.platform == "win32":
    FEED = (
        "import os, subprocess, sys; document = os.environ['ALERT_JSON'].encode() + b'\\n'; "
        "sys.exit(subprocess.run(sys.argv[1], shell=True, input=document).returncode)"  # by %COMSPEC% /c
    )
    PIPED: tuple[str, ...] = (sys.executable, "-I", "-c", FEED)
else:
    PIPED = ("/bin/sh", "-c", f'{LIFE} printf "%s\\n" "$ALERT_JSON" | /bin/sh -c "$1"', "tickerd-alert")
"""Another process writes the document, so that a command that does not read it holds nobody up."""

Event = Literal["raised", "repeated", "cleared"]
Alert = Mapping[str, Any]
Key = tuple[str, str | None]

log = get_logger(__name__)


def key_of(alert: Alert) -> Key:
    return alert["alert"], alert["process"]


@dataclass(frozen=True, slots=True)
class News:
    event: Event
    alert: Alert


class AlertBook:
    """Which alerts are up, and when each was told last. Monotonic seconds."""

    def __init__(self) -> None:
        self._up: dict[Key, tuple[Alert, float]] = {}

    def update(self, alerts: Iterable[Alert], *, now_s: float, repeat_s: float) -> list[News]:
        """Take what is amiss now; return what is to be told of it."""
        found = {key_of(alert): alert for alert in alerts}
        news = [News("cleared", alert) for key, (alert, _) in self._up.items() if key not in found]
        up: dict[Key, tuple[Alert, float]] = {}
        for key, alert in found.items():
            told_s = self._up[key][1] if key in self._up else None
            if told_s is None or now_s - told_s >= repeat_s:
                news.append(News("raised" if told_s is None else "repeated", alert))
                told_s = now_s
            up[key] = (alert, told_s)
        self._up = up
        return news


@dataclass(slots=True)
class _Run:
    process: Process
    timer: asyncio.TimerHandle
    late: bool = False


class AlertCommand:
    """Runs the command, one at a time for each alert; of what comes meanwhile the newest is told next."""

    def __init__(self, *, logging: Logging, environ: Mapping[str, str], folder: Path) -> None:
        self.log = ChildLog(Path(logging.dir), LOG_NAME, max_mb=logging.max_mb, keep=logging.keep)
        self._environ = {name: text for name, text in environ.items() if name not in OWN_NOTIFY_VARIABLES}
        self._folder = folder
        self._running: dict[Key, _Run] = {}
        self._waiting: dict[Key, tuple[str, bytes]] = {}

    def tell(self, key: Key, command: str, document: bytes) -> None:
        if key in self._running:
            self._waiting[key] = (command, document)
            return
        launch = Launch(
            arguments=(*PIPED, command),
            environ=self._environ | {"ALERT_JSON": document.decode()},
            folder=self._folder,
        )
        try:
            process = Process(launch, on_exit=lambda code: self._ended(key, code), on_output=self.log.write)
        except OSError as error:
            self._failed(key, error=str(error))
            return
        timer = asyncio.get_running_loop().call_later(COMMAND_S, self._kill, key)
        self._running[key] = _Run(process, timer)

    def close(self) -> None:
        """End what still runs."""
        self._waiting.clear()
        for run in self._running.values():
            run.timer.cancel()
            run.process.kill()
        self.log.close()

    def _kill(self, key: Key) -> None:
        self._running[key].late = True
        self._running[key].process.kill()

    def _ended(self, key: Key, code: int) -> None:
        run = self._running.pop(key)
        run.timer.cancel()
        if run.late:
            self._failed(key, exit_code=code, error=f"was killed after {COMMAND_S:g} s")
        elif code:
            self._failed(key, exit_code=code, error=self.log.last_line)
        if key in self._waiting:
            self.tell(key, *self._waiting.pop(key))

    def _failed(self, key: Key, **what: Any) -> None:
        log.warning("alert_command_failed", alert=key[0], process=key[1], **what)


class Alerts:
    """Tells what is amiss: log, journal and, if there is one, the command."""

    def __init__(self, journal: Journal, command: AlertCommand) -> None:
        self._journal, self.command = journal, command
        self._book = AlertBook()

    def tell(self, alerts: Iterable[Alert], settings: AlertSettings, *, now: datetime, now_s: float) -> None:
        for news in self._book.update(alerts, now_s=now_s, repeat_s=settings.repeat_s):
            self._log(news, now)
            if settings.command:
                self.command.tell(key_of(news.alert), settings.command, document(news, now))

    def _log(self, news: News, now: datetime) -> None:
        keys = {"alert": news.alert["alert"], "process": news.alert["process"], "detail": news.alert["text"]}
        match news.event:
            case "raised":
                log.warning("alert_raised", **keys)
            case "repeated":
                log.warning("alert_repeated", **keys)
                return
            case "cleared":
                log.info("alert_cleared", **keys)
        detail = f"{news.alert['alert']}: {news.alert['text']}"
        self._journal.write_own(f"alert_{news.event}", pid=os.getpid(), at=now, detail=detail)


def document(news: News, now: datetime) -> bytes:
    """Return what the command reads: one line of JSON."""
    head = {"version": VERSION, "event": news.event, "at": utc_text(now), "host": socket.gethostname()}
    return encode(head | {name: news.alert[name] for name in ("alert", "process", "since", "text")})
