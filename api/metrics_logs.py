"""What the log files tell the metrics: lines of each level, the last reload, alerts not told. Reads each line once."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

from api.log_files import LEVELS, READ_BYTES
from api.metrics import Sheet

LEVEL = re.compile(rb'"log\.level": ?"(\w+)"')
RELOAD = re.compile(rb'"message": ?"(settings_reloaded|reload_refused)"')
UNTOLD = re.compile(rb'"message": ?"alert_command_failed"')


class Logs:
    """`folder`: of the log files. The first look takes the end of each file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, tuple[int, int]] = {}
        """File -> its inode and how far it is read."""
        self._levels: Counter[str] = Counter()
        self._has_reloaded = True
        self._untold = 0

    def read(self) -> None:
        """Count the lines that were written since the last look."""
        for file in sorted(self._folder.glob("*.jsonl")):
            self._take(self._new_lines(file))

    def _new_lines(self, file: Path) -> bytes:
        with file.open("rb") as stream:
            found = os.fstat(stream.fileno())
            inode, place = self._places.get(file.name, (found.st_ino, max(0, found.st_size - READ_BYTES)))
            if inode != found.st_ino or place > found.st_size:
                place = 0  # a new file: the old one's name has changed
            stream.seek(place)
            lines = stream.read(READ_BYTES)
        whole = lines[: lines.rfind(b"\n") + 1] or (lines if len(lines) == READ_BYTES else b"")
        self._places[file.name] = (found.st_ino, place + len(whole))
        return whole

    def _take(self, lines: bytes) -> None:
        self._levels.update(level.decode() for level in LEVEL.findall(lines))
        self._untold += len(UNTOLD.findall(lines))
        for event in RELOAD.findall(lines):
            self._has_reloaded = event == b"settings_reloaded"

    def put(self, sheet: Sheet) -> None:
        for level in LEVELS:
            sheet.put("stocks_log_messages_total", self._levels[level], level=level)
        sheet.put("stocks_notifications_total", self._untold, channel="command", outcome="error")
        sheet.put("stocks_config_last_reload_successful", self._has_reloaded)
