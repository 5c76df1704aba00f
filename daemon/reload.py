"""What a changed configuration asks for: who begins anew, what has to wait for a new daemon. Starts and stops nothing.

A configuration that is wrong in any way raises, and leaves what was read before as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from core import config
from core.config import SECRETS, Loaded, all_keys, redacted
from core.errors import FixByHand
from core.files import make_folder, read_text
from core.settings import Logging, Settings
from market.sessions import Calendar, build_calendar

Reread = Callable[[], Loaded]


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """What a change of a setting means. `processes` begin anew; `later`: only a new daemon applies it."""

    processes: tuple[str, ...] = ()
    later: bool = False


AT_ONCE = Touch()
"""The orchestrator itself looks at it, or a program at its next start."""
LATER = Touch(later=True)
SCANNERS = ("prices", "metrics", "daily")

TOUCHES: Mapping[str, Touch] = {
    "state": LATER,
    "database": LATER,
    "network": Touch(processes=(*SCANNERS, "proxies", "screener")),
    "market": Touch(processes=(*SCANNERS, "recorder", "screener", "api")),
    "market.warmup_s": AT_ONCE,
    "market.linger_s": AT_ONCE,
    "universe": LATER,
    "prices": Touch(processes=("prices",)),
    "prices.enabled": AT_ONCE,
    "metrics": Touch(processes=("metrics",)),
    "metrics.enabled": AT_ONCE,
    "metrics.batch_size": Touch(processes=("metrics", "daily", "screener")),
    "metrics.concurrency": Touch(processes=("metrics", "daily")),
    "daily": Touch(processes=("daily",)),
    "daily.history_days": Touch(processes=("daily", "screener")),
    "daily.enabled": AT_ONCE,
    "daily.window": AT_ONCE,
    "proxies": Touch(processes=("proxies", "metrics")),
    "supervisor": AT_ONCE,
    "logging": AT_ONCE,
    "alerts": AT_ONCE,
    "api": Touch(processes=("api",)),
    "api.enabled": AT_ONCE,
    "backup": AT_ONCE,
    "backup.enabled": LATER,
    "retention": Touch(processes=("recorder", "screener")),
    "screener": Touch(processes=("screener",)),
    "screener.enabled": AT_ONCE,
    "screener.memory_soft_mb": AT_ONCE,
    "screener.memory_hard_mb": AT_ONCE,
    "risk": Touch(processes=("screener",)),
}
"""Section, or single key where it differs from its section."""

NOT_SHOWN = ("alerts.command", *SECRETS)
"""Values that may hold a secret in any form."""


def touch_of(key: str) -> Touch:
    return TOUCHES.get(key) or TOUCHES[key.partition(".")[0]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One key; `edited`: its value is the same, but the file that it names has another content."""

    key: str
    old: Any
    new: Any
    edited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChange:
    """`settings`: what holds from now on: all that is new but for the keys of `later`."""

    settings: Settings
    applied: tuple[Difference, ...]
    later: tuple[Difference, ...]
    processes: frozenset[str]

    @property
    def keys(self) -> list[str]:
        return [each.key for each in self.applied]

    @property
    def later_keys(self) -> list[str]:
        return [each.key for each in self.later]

    def document(self) -> dict[str, Any]:
        """Return what is told to whoever asked; `advice`: what is left for a person to do, "" if nothing is."""
        return {
            "applied": [shown(each) for each in self.applied],
            "later": [shown(each) for each in self.later],
            "advice": f"restart tickerd to apply {', '.join(self.later_keys)}" if self.later else "",
        }


def compare(old: Settings, new: Settings, *, edited: Iterable[str] = ()) -> SettingsChange:
    """Return what becomes of the step from `old` to `new`; `edited`: keys that name a file of another content."""
    found = [
        Difference(key=key, old=value_of(old, key), new=value_of(new, key), edited=key in edited)
        for key in all_keys()
        if value_of(old, key) != value_of(new, key) or key in edited
    ]
    later = tuple(each for each in found if touch_of(each.key).later)
    applied = tuple(each for each in found if not touch_of(each.key).later)
    for each in later:
        new = _with(new, each.key, each.old)
    processes = frozenset(name for each in applied for name in touch_of(each.key).processes)
    return SettingsChange(settings=new, applied=applied, later=later, processes=processes)


def shown(difference: Difference) -> dict[str, Any]:
    """Return the difference for people and logs, without passwords."""
    key = difference.key
    return {"key": key, "old": _redacted(key, difference.old), "new": _redacted(key, difference.new)} | (
        {"edited": True} if difference.edited else {}
    )


def value_of(settings: Settings, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(settings, section), name)


def _with(settings: Settings, key: str, value: Any) -> Settings:
    section, _, name = key.partition(".")
    changed = msgspec.structs.replace(getattr(settings, section), **{name: value})
    return msgspec.structs.replace(settings, **{section: changed})


def _redacted(key: str, value: Any) -> Any:
    if key in NOT_SHOWN:
        return "***" if value else ""
    if isinstance(value, list):
        return [_redacted(key, each) for each in value]
    return redacted(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A configuration with what belongs to it; `files`: key -> text of the file that it names."""

    loaded: Loaded
    calendar: Calendar
    files: Mapping[str, str]


def read(loaded: Loaded) -> Reading:
    """Return the configuration with its calendar and files; FixByHand if one of them cannot be used."""
    settings, files = loaded.settings, {}

    def noted(path: Path) -> str:
        _refuse_pipe(path)
        text = files[_key_of(path, settings)] = read_text(path)
        return text

    calendar = build_calendar(settings.market, read=noted)
    return Reading(loaded=loaded, calendar=calendar, files=files)


def _refuse_pipe(path: Path) -> None:
    """To read it again would wait for ever."""
    if path.exists() and not path.is_file():
        right = "give the name of a file"
        raise FixByHand("is not a file that can be read again", where=str(path), right=right)


def _key_of(path: Path, settings: Settings) -> str:
    return "market.overrides_file" if str(path) == settings.market.overrides_file else "market.calendar"


def check_log_folder(logging: Logging) -> None:
    """Make the folder of the logs if it is new; FixByHand if nothing can be written there."""
    folder = make_folder(Path(logging.dir))
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise FixByHand(
            "cannot be written", where=str(folder), key="logging.dir", right="give a folder that can be written"
        )


def reread_of(loaded: Loaded, environ: Mapping[str, str], folder: Path) -> Reread:
    """Return how to read the same file, environment and folder again."""
    return lambda: config.load(str(loaded.file) if loaded.file else None, environ, folder)


class Source:
    """The configuration as it was used last, and how to read it again."""

    def __init__(self, loaded: Loaded, reread: Reread) -> None:
        self.reading, self.reread = read(loaded), reread

    def read_again(self, settings: Settings) -> tuple[Reading, SettingsChange]:
        """Return the configuration as it stands now, and what it changes of `settings`; TickerdError if it is wrong."""
        file = self.reading.loaded.file
        if file is not None:
            _refuse_pipe(file)
        loaded = self.reread()
        if ca_file := loaded.settings.network.ca_file:
            _refuse_pipe(Path(ca_file))
            read_text(Path(ca_file), key="network.ca_file")
        found, before = read(loaded), self.reading.files
        edited = {key for key, text in found.files.items() if before.get(key, text) != text}
        return found, compare(settings, loaded.settings, edited=edited)
