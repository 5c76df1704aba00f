"""`tickerd logs`: the log files of the processes, rendered for people, followed across rotation."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from cli.common import json_option, load, with_config
from core.clock import pause
from core.errors import FixByHand, TickerdError
from core.files import open_to_follow
from core.logs import render_text
from screener.sentences import SENTENCES

POLL_S = 0.25
OWN = "tickerd"


@click.command(short_help="Show the log of a process, or follow it.")
@click.argument("name", default=OWN)
@click.option("-f", "--follow", is_flag=True, help="Keep showing new lines until Ctrl-C, across rotation.")
@click.option("-n", "--lines", default=50, show_default=True, type=click.IntRange(min=0), help="How many old lines.")
@json_option("Print the lines as they stand in the file: one JSON document each.")
@with_config
def logs(name: str, follow: bool, lines: int, config_file: str | None, as_json: bool) -> None:
    """Show the log of process NAME; default: the orchestrator's.

    prices, metrics, daily, proxies, recorder, screener, prepare, alerts
    """
    file = _file(Path(load(config_file).settings.logging.dir), name)
    try:
        for line in _lines(file, last=lines, follow=follow):
            click.echo(line if as_json else _readable(line))
    except KeyboardInterrupt:
        return


def _file(folder: Path, name: str) -> Path:
    file = folder / f"{name}.jsonl"
    if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
        raise FixByHand("cannot be read", where=str(folder), key="logging.dir", right="allow this user to read it")
    known = sorted(each.stem for each in folder.glob("*.jsonl"))
    if name not in known:
        right = f"logs there: {', '.join(known)}" if known else "`tickerd run` writes the first ones"
        raise TickerdError("no such log", where=str(file), right=right)
    if not os.access(file, os.R_OK):
        raise FixByHand("cannot be read", where=str(file), right="allow this user to read it")
    return file


def _lines(file: Path, *, last: int, follow: bool) -> Iterator[str]:
    """Yield the last lines, then, if `follow`, each new one; a file that was rotated away is read to its end first."""
    stream, torn = open_to_follow(file), b""
    try:
        old = deque(stream, maxlen=last + 1)
        if follow and old and not old[-1].endswith(b"\n"):
            torn = old.pop()  # its rest is still to be written
        yield from [_text(line) for line in old][-last:] if last else []
        while follow:
            rotated = _rotated(stream, file)  # asked first: what was written before the rotation is read below
            for line in stream:
                torn += line
                if torn.endswith(b"\n"):
                    yield _text(torn)
                    torn = b""
            if rotated:
                stream.close()
                stream = open_to_follow(file)
            else:
                pause(POLL_S)
    finally:
        stream.close()


def _text(line: bytes) -> str:
    return line.rstrip(b"\r\n").decode(errors="replace")


def _rotated(stream: BinaryIO, file: Path) -> bool:
    try:
        return os.fstat(stream.fileno()).st_ino != file.stat().st_ino
    except FileNotFoundError:
        return False  # between two names: the new file is not there yet


def _readable(line: str) -> str:
    try:
        return render_text(msgspec.json.decode(line, type=dict[str, object]), SENTENCES)
    except (msgspec.MsgspecError, KeyError, ValueError, TypeError):
        return line  # a traceback, what a library printed, or JSON that is no event of ours
