"""What a killed orchestrator left running: noted while it lives, ended by the next one. Starts nothing."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import msgspec
import psutil

from core.clock import Clock
from core.files import BINARY
from core.logs import get_logger
from daemon.descendants import Identity, identity, marked, send

FILE = "children.json"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
POLL_S = 0.02
KILLED_WITHIN_S = 5.0

if sys.platform == "win32":  # whatever is sent there ends a process at once
    POLITE, KILL = (signal.SIGTERM,), signal.SIGTERM
else:
    POLITE, KILL = (signal.SIGTERM, signal.SIGCONT), signal.SIGKILL

log = get_logger(__name__)


class Family(msgspec.Struct, frozen=True):
    """One process with its descendants."""

    name: str
    members: list[Identity]


class Note(msgspec.Struct, frozen=True):
    """`token`: what the marks of all of them begin with."""

    boot_id: str
    token: str
    families: list[Family]


def note(folder: Path, token: str, families: Iterable[Family]) -> None:
    """Replace what is noted, in place and not synced: that takes microseconds, and a note that a dying machine loses
    speaks of processes that died with it."""
    line = msgspec.json.encode(Note(boot_id(), token, list(families))) + b"\n"
    try:
        descriptor = os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | BINARY, 0o600)
        try:
            os.write(descriptor, line)
            os.ftruncate(descriptor, len(line))
        finally:
            os.close(descriptor)
    except OSError as error:
        log.warning("children_unwritten", file=str(folder / FILE), error=str(error))


@cache
def boot_id() -> str:
    """Return what names this run of the machine: pids of another one mean nothing."""
    return BOOT_ID.read_text(encoding="ascii").strip() if BOOT_ID.exists() else str(round(psutil.boot_time(), -2))


async def clear(folder: Path, *, clock: Clock, patience_s: float) -> int:
    """End what the last orchestrator of this state folder left; return how many processes that were.

    The caller holds the folder's lock, so nobody else has a claim to them. They are asked first, killed after
    `patience_s`.
    """
    left = _left(folder)
    if not left:
        return 0
    log.warning("leftovers_found", pids=sorted(who.pid for who in left))
    for number in POLITE:
        for who in left:
            send(who, number)
    remaining = await _gone(left, clock, patience_s)
    for who in remaining:
        send(who, KILL)
    remaining = await _gone(remaining, clock, KILLED_WITHIN_S)
    if remaining:
        log.error("leftovers_remain", pids=sorted(who.pid for who in remaining))
    return len(left)


def _left(folder: Path) -> set[Identity]:
    """Who of the noted, and of those that bear the noted mark, is still there."""
    found = _read(folder / FILE)
    if found is None or found.boot_id != boot_id():
        return set()
    noted = {who for family in found.families for who in family.members if identity(who.pid) == who}
    return noted | {who for pid in marked(found.token) if (who := identity(pid)) is not None}


def _read(path: Path) -> Note | None:
    try:
        line, _, _ = path.read_bytes().partition(b"\n")  # what follows is of a longer note, and was not cut off yet
        return msgspec.json.decode(line, type=Note)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("children_unreadable", file=str(path), error=str(error))
        return None


async def _gone(waited_for: set[Identity], clock: Clock, within_s: float) -> set[Identity]:
    """Wait for them to end; return who has not."""
    end_s = clock.monotonic_s() + within_s
    while remaining := {who for who in waited_for if identity(who.pid) == who}:
        if clock.monotonic_s() >= end_s:
            break
        await clock.sleep(POLL_S)
    return remaining
