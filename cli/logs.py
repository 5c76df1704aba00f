"""`tickerd logs`: the log files of the processes, rendered for people, followed across rotation."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import click
import msgspec

from cli.common import load, with_both
from core.clock import pause
from core.errors import FixByHand
from core.logs import render_text

POLL_S = 0.25
OWN = "tickerd"


@click.command()
@click.argument("name", default=OWN)
@click.option("-f", "--follow", is_flag=True, help="Keep showing new lines until Ctrl-C, across rotation.")
@click.option("-n", "--lines", default=50, show_default=True, type=click.IntRange(min=0), help="How many old lines.")
@with_both
def logs(name: str, follow: bool, lines: int, config_file: str | None, as_json: bool) -> None:
    """Show the log of process NAME (prices, metrics, daily, recorder; default: the orchestrator's own).

    With --json the lines come as they are in the file.
    """
    file = _file(Path(load(config_file).settings.logging.dir), name)
    try:
        for line in _lines(file, last=lines, follow=follow):
            click.echo(line if as_json else _readable(line))
    except KeyboardInterrupt:
        return


def _file(folder: Path, name: str) -> Path:
    file = folder / f"{name}.jsonl"
    if not file.is_file():
        known = ", ".join(sorted(each.stem for each in folder.glob("*.jsonl"))) or "none yet"
        raise FixByHand("no such log", where=str(file), right=f"logs there: {known}")
    return file


def _lines(file: Path, *, last: int, follow: bool) -> Iterator[str]:
    """Yield the last lines, then, if `follow`, each new one; a file that was rotated away is read to its end first."""
    stream = file.open(encoding="utf-8", errors="replace")
    old = stream.read().splitlines()
    yield from old[len(old) - last :] if last < len(old) else old
    while follow:
        while line := stream.readline():
            yield line.rstrip("\n")
        if _rotated(stream, file):
            stream.close()
            stream = file.open(encoding="utf-8", errors="replace")
            continue
        pause(POLL_S)
    stream.close()


def _rotated(stream: TextIO, file: Path) -> bool:
    try:
        return os.fstat(stream.fileno()).st_ino != file.stat().st_ino
    except FileNotFoundError:
        return False  # between two names: the new file is not there yet


def _readable(line: str) -> str:
    try:
        event = msgspec.json.decode(line, type=dict[str, object])
    except msgspec.MsgspecError:
        return line  # a traceback, or what a library printed
    return render_text(event) if "message" in event and "@timestamp" in event else line
