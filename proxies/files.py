"""The files of working proxies that other programs read, and a user's own list. Never empties one, never half-writes.

Each is replaced in one step. A list without any proxy is not written: the last good one stays, with its time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import orjson

from core.clock import utc_text
from core.errors import FixByHand
from core.files import write_atomic, writing
from proxies.addresses import AddressFilter
from proxies.formats.reading import read_list
from proxies.model import Address, Member, Protocol
from proxies.own import read_line

MARK = "# tickerd"
KEPT_SUFFIX = ".before-tickerd"
ORDER = {"gold": 0, "live": 1}
LARGEST_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FileList:
    """A file of proxies as it was read. `urls`: of these, those with name and password; `refused`: reason -> lines."""

    addresses: list[Address] = field(default_factory=list)
    urls: dict[Address, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)


def read_file(path: Path, allowed: AddressFilter) -> FileList:
    """Return the proxies of a file in any of the known formats; FixByHand if it cannot be read or holds none."""
    try:
        with path.open("rb") as file:
            body = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise FixByHand(
            f"cannot be read ({error.strerror})", where=str(path), right="give a file with one IP:PORT a line"
        ) from error
    if len(body) > LARGEST_BYTES:
        raise FixByHand("is larger than 5 MiB", where=str(path), right="split it")
    found = read_bytes(body, allowed)
    if not found.addresses:
        said = ", ".join(f"{count} {reason}" for reason, count in found.refused.most_common(3)) or "it is empty"
        raise FixByHand(f"names no proxy that may be used ({said})", where=str(path), right="give one IP:PORT a line")
    return found


def read_bytes(body: bytes, allowed: AddressFilter) -> FileList:
    """Return the proxies that may be contacted; those with a password are found line by line."""
    urls = dict(pair for line in _lines(body) if (pair := read_line(line)) is not None)
    listed = read_list(body)
    refused = Counter(listed.refused)
    refused["credentials"] -= len(urls)
    plain: tuple[Protocol, ...] = ("http",)
    named = [Address(protocol, each.ip, each.port) for each in listed.entries for protocol in each.protocols or plain]
    addresses = []
    for address in dict.fromkeys([*urls, *named]):
        if (reason := allowed.refusal(address.ip, address.port)) is None:
            addresses.append(address)
        else:
            refused[reason] += 1
    return FileList(
        addresses=addresses, urls={each: urls[each] for each in addresses if each in urls}, refused=+refused
    )


class Exporter:
    """Writes `http_proxies.txt`, `socks4_proxies.txt`, `socks5_proxies.txt` and `proxies.json` into one folder."""

    def __init__(self, file: Path) -> None:
        """`file`: of the HTTP proxies; the others lie beside it."""
        self._file = file

    def write(self, members: Iterable[Member], *, now: datetime) -> int:
        """Write what is gold or live, the best first; return how many proxies that were."""
        good = sorted(
            (each for each in members if each.state in ORDER and not each.is_cooling(now)),
            key=lambda each: (ORDER[each.state], each.fails_in_a_row, each.latency_ms or 1e9, each.address),
        )
        for protocol in ("http", "socks4", "socks5"):
            self._write_list(protocol, [each for each in good if each.address.protocol == protocol], now)
        if good:
            document = {"version": 1, "at": utc_text(now), "proxies": [described(each) for each in good]}
            with writing(self._file.parent / "proxies.json"):
                write_atomic(self._file.parent / "proxies.json", orjson.dumps(document, option=orjson.OPT_INDENT_2))
        return len(good)

    def path(self, protocol: Protocol) -> Path:
        return self._file if protocol == "http" else self._file.parent / f"{protocol}_proxies.txt"

    def _write_list(self, protocol: Protocol, good: Sequence[Member], now: datetime) -> None:
        if not good:
            return
        path = self.path(protocol)
        head = f"{MARK}, {utc_text(now)}: {len(good)} working {protocol} proxies, the best first\n"
        lines = [each.address.text for each in good]
        kept = self._kept(path) if protocol == "http" else []
        body = (head + "".join(f"{line}\n" for line in (*lines, *_without(kept, lines)))).encode()
        with writing(path):
            # What holds passwords stays as closed as its owner made it.
            write_atomic(path, body, mode=path.stat().st_mode & 0o777 if kept else 0o644)

    def _kept(self, path: Path) -> list[str]:
        """Return the lines with a password: a user wrote them. A file that is all his is saved first."""
        try:
            body = path.read_bytes()[:LARGEST_BYTES]
        except FileNotFoundError:
            return []
        if body.strip() and not body.startswith(MARK.encode()):
            saved = saved_of(path)
            with writing(saved):
                write_atomic(saved, body, mode=0o600)
        return [line for line in _lines(body) if read_line(line) is not None]


def saved_of(path: Path) -> Path:
    """Return where a user's own file is kept before the first list of ours takes its place."""
    return path.with_name(path.name + KEPT_SUFFIX)


def described(member: Member) -> dict[str, object]:
    """Return what may be told of a member: neither cookie nor crumb."""
    return {
        "address": member.address.text,
        "protocol": member.address.protocol,
        "state": member.state,
        "exit_ip": member.exit_ip,
        "ok": member.ok,
        "fail": member.fail,
        "latency_ms": round(member.latency_ms, 1) if member.latency_ms is not None else None,
        "last_ok": utc_text(member.last_ok) if member.last_ok else None,
    }


def _lines(body: bytes) -> list[str]:
    return [line.strip() for line in body.decode("utf-8-sig", "replace").splitlines() if line.strip()]


def _without(lines: Iterable[str], written: Iterable[str]) -> list[str]:
    known = set(written)
    return [line for line in dict.fromkeys(lines) if line not in known]
