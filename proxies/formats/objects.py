"""Lists in JSON: objects, lists of texts, maps by protocol, one object a line. Never recurses with the document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from proxies.formats.entries import (
    MAX_ROWS,
    NAMES,
    Entry,
    Listed,
    NoEntry,
    endpoint,
    entry,
    named_protocols,
    of_cells,
)
from proxies.model import Protocol

MAX_NODES = 250_000
"""Objects and lists in a document: five a proxy. Unpacked they take a hundred times their text."""
MAX_COMMAS = 500_000
"""A text of four bytes takes fifty."""
_HOSTS = ("ip", "host", "ip_address", "ipAddress", "address", "addr", "server", "IP", "Ip")
_PORTS = ("port", "PORT", "Port")
_PROTOCOLS = ("protocols", "protocol", "type", "scheme", "schema")
_WHOLE = ("proxy", "url", "address", "addr", "proxy_url", "host", "server", "ip")
_PASSWORDS = ("password", "pass", "username", "user")
_Hint = tuple[Protocol, ...]
_Parts = Iterator[tuple[Any, _Hint]]
"""Each part of a document with the protocol that is named above it."""


def read_json(body: bytes) -> Listed | None:
    """Return the list of a JSON document, or of one a line; None if it is neither, or of too many parts."""
    if body.count(b"{") + body.count(b"[") > MAX_NODES or body.count(b",") > MAX_COMMAS:
        return None
    try:
        documents = [orjson.loads(body)]
    except orjson.JSONDecodeError:
        documents = _by_line(body)
    if not documents:
        return None
    listed = Listed(shape="json")
    for found in _walk((document, ()) for document in documents):
        if not listed.row():
            break
        listed.take(found)
    return listed


def _by_line(body: bytes) -> list[Any]:
    """Return the documents of a text with one in each line; nothing if the first line is none."""
    documents = []
    for number, line in enumerate(body.strip().split(b"\n", MAX_ROWS)):
        try:
            documents.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            if number == 0:
                return []
    return documents


def _walk(parts: _Parts) -> Iterator[Entry | NoEntry]:
    """Yield what the parts name, in their order; what has nothing to do with proxies is no part."""
    waiting = [parts]
    while waiting:
        part, hint = next(waiting[-1], (None, ()))
        if isinstance(part, str):
            yield endpoint(part.strip(), hint)
        elif isinstance(part, list):
            row = of_cells([str(cell) for cell in part]) if _is_pair(part) else []
            if isinstance(row, list) and row:
                yield from row
            else:
                waiting.append(_each(part, hint))
        elif isinstance(part, dict):
            found = _described(part, hint)
            if found is not None:
                yield found
            else:
                waiting.append(_within(part, hint))
        else:
            waiting.pop()


def _each(part: list[Any], hint: _Hint) -> _Parts:
    return ((each, hint) for each in part if isinstance(each, str | list | dict))


def _within(part: dict[str, Any], hint: _Hint) -> _Parts:
    """Yield what an object holds; a key may name the protocol of what is below it, or be an address itself."""
    for key, value in part.items():
        if isinstance(value, list | dict):
            yield value, (NAMES[key.lower()],) if key.lower() in NAMES else hint
        if ":" in key and isinstance(endpoint(key), Entry):
            yield key, hint


def _is_pair(part: list[Any]) -> bool:
    """Whether it may be an address with its port beside it."""
    return 2 <= len(part) <= 20 and all(isinstance(each, str | int) for each in part) and ":" not in str(part[0])


def _described(part: dict[str, Any], hint: _Hint) -> Entry | NoEntry | None:
    """Return the one proxy that an object describes; None if it describes none itself."""
    host, port = _first(part, _HOSTS), _first(part, _PORTS)
    if host and port:
        return "credentials" if _first(part, _PASSWORDS) else entry(host, port, _protocols(part) or hint)
    wholes = (part[key] for key in _WHOLE if isinstance(part.get(key), str))
    whole = next((text for text in wholes if ":" in text), None)
    return endpoint(whole.strip(), _protocols(part) or hint) if whole else None


def _protocols(part: dict[str, Any]) -> _Hint:
    for key in _PROTOCOLS:
        named = part.get(key)
        if found := named_protocols([str(each) for each in (named if isinstance(named, list) else [named])[:20]]):
            return found
    return ()


def _first(part: dict[str, Any], keys: tuple[str, ...]) -> str:
    """Return the first of these values that is a text or a number; nothing if there is none."""
    for key in keys:
        value = part.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value).strip()
    return ""
