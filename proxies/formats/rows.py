"""Lists of lines: addresses with or without scheme, and CSV, with or without a head. Never holds all lines at once."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from proxies.formats.entries import Entry, Listed, NoEntry, endpoint, entry, named_protocols, of_cells

LONGEST_LINE = 4_096
"""Beyond it a line is not one row, but may hold addresses between blanks."""
_LINE = re.compile(r"[^\r\n]+")
_TOKEN = re.compile(r"[^\s,;|]+")
_COMMENTS = ("#", "//", "<!--")
_DELIMITERS = ",;\t|"
_HOSTS = ("ip", "ip address", "ip_address", "ipaddress", "host", "address", "proxy ip", "server")
_PORTS = ("port", "proxy port")
_PROTOCOLS = ("protocol", "protocols", "type", "proxy type", "scheme", "schema", "version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Which column holds what; None = none."""

    host: int
    port: int
    protocol: int | None


def read_lines(text: str) -> Listed:
    """Return the list of a text of lines."""
    delimiter = _delimiter(text)
    return read_csv(text, delimiter) if delimiter else read_plain(text)


def read_plain(text: str) -> Listed:
    """Return the list of a text with an address or more in each line."""
    listed = Listed(shape="text")
    for line in _lines(text):
        if not listed.row():
            break
        found = endpoint(line)
        if isinstance(found, Entry):
            listed.take(found)
        elif len(line) > LONGEST_LINE:
            read_words(line, listed)
        else:
            _take_all(listed, of_cells([token.strip("\"'()") for token in _TOKEN.findall(line)]))
    return listed


def read_csv(text: str, delimiter: str) -> Listed:
    """Return the list of a text whose first line names its columns."""
    lines = (line if len(line) <= LONGEST_LINE else "" for line in _lines(text))
    return read_table(csv.reader(lines, delimiter=delimiter), shape="csv")


def read_table(rows: Iterable[Sequence[str]], *, shape: str) -> Listed:
    """Return the list of rows of cells; a row that names the columns is the head of those below it."""
    listed, head = Listed(shape=shape), None
    for row in rows:
        if not listed.row():
            break
        cells = [cell.strip() for cell in row]
        if found := head_of(cells):
            head = found
        elif head is not None and len(cells) > max(head.host, head.port):
            listed.take(_by_head(cells, head))
        else:
            _take_all(listed, of_cells(cells))
    return listed


def read_words(text: str, listed: Listed) -> None:
    """Add the addresses that stand anywhere in a text, with the port in the same word or in the next one."""
    previous = ""
    for match in _TOKEN.finditer(text):
        if not listed.row():
            break
        found = of_cells([previous, match[0]])
        previous = match[0]
        if isinstance(found, list):
            listed.take(found[-1])
            previous = ""


def head_of(cells: Sequence[str]) -> Head | None:
    """Return what the columns hold if `cells` are their names."""
    names = [cell.strip().lower() for cell in cells]
    host = next((place for place, name in enumerate(names) if name in _HOSTS), None)
    port = next((place for place, name in enumerate(names) if name in _PORTS), None)
    if host is None or port is None:
        return None
    return Head(host=host, port=port, protocol=next((names.index(name) for name in _PROTOCOLS if name in names), None))


def _by_head(cells: Sequence[str], head: Head) -> Entry | NoEntry:
    named = cells[head.protocol : head.protocol + 1] if head.protocol is not None else cells
    return entry(cells[head.host], cells[head.port], named_protocols(named))


def _take_all(listed: Listed, found: list[Entry] | NoEntry) -> None:
    for each in found if isinstance(found, list) else [found]:
        listed.take(each)


def _lines(text: str) -> Iterator[str]:
    stripped = (match[0].strip() for match in _LINE.finditer(text))
    return (line for line in stripped if line and not line.startswith(_COMMENTS))


def _delimiter(text: str) -> str:
    """Return what parts the columns if the first line names them; else nothing."""
    first = next(_lines(text[: 2 * LONGEST_LINE]), "")
    return next((mark for mark in _DELIMITERS if head_of([name.strip("\"'") for name in first.split(mark)])), "")
