"""Changes single settings in config.toml: comments and everything else stay as they are. Applies none of them."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from api.problems import Problem
from api.schemas import Line
from core import config
from core.errors import TickerdError
from core.files import read_text, write_atomic, writing
from core.settings import Settings

SECTIONS = ("prices", "metrics", "daily", "screener", "risk")
NOT_HERE = frozenset(("prices.stream_url", "prices.canary", "screener.results_dir"))
"""Where to connect and where to write is for who has the file: a key of the API must not turn the product's requests
or files elsewhere."""

Value = bool | int | float | Line
HEADING = re.compile(r"\s*\[+\s*([^\]]+?)\s*\]")


def changeable(settings: Settings) -> dict[str, Any]:
    """Return the settings that may be changed here, by `section.key`."""
    found = {
        f"{section}.{name}": value
        for section in SECTIONS
        for name, value in msgspec.structs.asdict(getattr(settings, section)).items()
        if not isinstance(value, list)
    }
    return {key: value for key, value in found.items() if key not in NOT_HERE}


@dataclass(frozen=True, slots=True)
class ConfigFile:
    path: Path

    @classmethod
    def find(cls) -> ConfigFile:
        """Return the file of this process; Problem 409 if it runs on built-in defaults."""
        path = config.find_file(None, os.environ, Path.cwd())
        if path is None:
            raise Problem(409, "no_config_file", "this process has no config.toml; start it with --config FILE")
        return cls(path)

    def settings(self) -> Settings:
        return config.load(str(self.path), os.environ, Path.cwd()).settings

    def change(self, values: Mapping[str, Value]) -> str:
        """Write the new values and return the old text; Problem 422, and the file as it was, if they are wrong."""
        known = changeable(self.settings())
        if unknown := sorted(set(values) - set(known)):
            right = f"these may be changed: {', '.join(known)}"
            raise Problem(422, "unknown_setting", f"{unknown[0]} may not be changed here; {right}")
        before = text = read_text(self.path)
        for key, value in values.items():
            text = edited(text, key, value)
        self._write(text)
        try:
            self.settings()
        except TickerdError as error:
            self._write(before)
            raise Problem(422, "wrong_setting", f"{error.key}: {error.reason}; {error.right}") from error
        return before

    def restore(self, text: str) -> None:
        self._write(text)

    def _write(self, text: str) -> None:
        with writing(self.path):
            write_atomic(self.path, text.encode(), mode=self.path.stat().st_mode & 0o777)


def edited(text: str, key: str, value: Value) -> str:
    """Return a TOML text with one value changed or added."""
    section, _, name = key.partition(".")
    lines = text.splitlines()
    begin = next((place for place, line in enumerate(lines) if _heading(line) == section), None)
    line = f"{name} = {_toml(value)}"
    if begin is None:
        lines += ["", f"[{section}]", line]
    else:
        after = range(begin + 1, len(lines))
        end = next((place for place in after if _heading(lines[place]) is not None), len(lines))
        old = next((place for place in range(begin + 1, end) if _is_key(lines[place], name)), None)
        lines[old or begin + 1 : (old or begin) + 1] = [line + _comment(lines[old]) if old else line]
    changed = "\n".join(lines) + "\n"
    wanted = tomllib.loads(text)
    wanted.setdefault(section, {})[name] = value
    if _parsed(changed) != wanted:
        raise Problem(409, "not_editable", f"{key} is not written on a line of its own; change it by hand")
    return changed


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _heading(line: str) -> str | None:
    found = HEADING.match(line)
    return found[1] if found else None


def _is_key(line: str, name: str) -> bool:
    return re.match(rf"\s*{re.escape(name)}\s*=", line) is not None


def _comment(line: str) -> str:
    """Return the comment at the end of a line that sets a number, a truth or a plain text."""
    found = re.match(r"""[^=]*=\s*(?:"[^"\\]*"|'[^']*'|[^\s"'#]+)(\s*#.*)$""", line)
    return found[1] if found else ""


def _toml(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False)  # of a truth, a number or a line of text this is TOML too
