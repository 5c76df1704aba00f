"""Remembers over a restart of the daemon which processes an operator has stopped, and in which session."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from core.files import write_atomic
from core.logs import get_logger

FILE = "holds.json"

log = get_logger(__name__)


def read_holds(folder: Path) -> dict[str, str]:
    """Return process -> session; empty, and logged, if the file cannot be used."""
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("holds_unreadable", file=str(path), error=str(error))
        return {}


def write_holds(folder: Path, held: Mapping[str, str]) -> None:
    """Replace what is remembered; a full disk is logged, as the stop itself has worked."""
    try:
        write_atomic(folder / FILE, msgspec.json.encode(held), mode=0o600)
    except OSError as error:
        log.warning("holds_unwritten", file=str(folder / FILE), error=str(error))
