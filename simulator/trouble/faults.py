"""What goes wrong on purpose, now. Holds the faults; the servers carry them out. Reads no clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from simulator.trouble import catalogue
from simulator.trouble.catalogue import Fault

SYMBOLS_PER_CONNECTION = 100
"""What Yahoo's stream was measured to honour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A planned answer in place of the true one."""

    status: int
    body: bytes


@dataclass(slots=True, kw_only=True)
class Faults:
    """The faults that are on. Each takes effect at once; the last one ordered wins.

    `symbols_per_connection`: honoured where no fault says otherwise. `drop_symbols`: unknown to quotes and stream.
    `answers`: planned ones by path. The properties are short forms for tests in the same process.
    """

    symbols_per_connection: int = SYMBOLS_PER_CONNECTION
    drop_symbols: set[str] = field(default_factory=set)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    active: list[Fault] = field(default_factory=list)
    _thawed: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, fault: Fault) -> None:
        """Turn `fault` on."""
        self.active.append(fault)
        if fault.kind.name == "drop":
            self.drop_symbols.update(fault.texts("symbols"))

    def remove(self, fault: Fault) -> None:
        """Turn `fault` off; nothing happens if it is off."""
        if fault not in self.active:
            return
        self.active.remove(fault)
        if fault.kind.name == "drop":
            still = {symbol for other in self.of("drop") for symbol in other.texts("symbols")}
            self.drop_symbols.difference_update(set(fault.texts("symbols")) - still)
        if fault.kind.name == "freeze":
            self._thawed.set()
            self._thawed = asyncio.Event()

    def of(self, *names: str) -> Iterator[Fault]:
        """Return those that are on under these names, the last one ordered first."""
        return (fault for fault in reversed(self.active) if fault.kind.name in names)

    def on_stream(self, name: str, connection: int) -> Fault | None:
        """Return the fault `name` that hits this stream connection."""
        return next((fault for fault in self.of(name) if fault.concerns(connection)), None)

    def on_request(self, *, host: str, path: str, exit: str) -> list[Fault]:
        """Return the faults of HTTP that hit this request, the first one ordered first."""
        return [
            fault
            for fault in self.active
            if fault.kind.area == "http"
            and fault.fits("host", host)
            and fault.fits("path", path)
            and fault.fits("exit", exit)
        ]

    def hit(self, fault: Fault) -> None:
        """Count one answer that `fault` has shaped, and turn it off after its last."""
        fault.hits += 1
        if fault.hits == fault.whole("times"):
            self.remove(fault)

    async def thaw(self, connection: int) -> None:
        """Wait while this connection is frozen."""
        while self.on_stream("freeze", connection):
            await self._thawed.wait()

    @property
    def refuse_connections(self) -> bool:
        """New connections are reset."""
        return any(self.of("refuse"))

    @refuse_connections.setter
    def refuse_connections(self, on: bool) -> None:
        self._set("refuse", on)

    @property
    def mute_streams(self) -> bool:
        """Pings are answered, no prices come."""
        return any(self.of("mute"))

    @mute_streams.setter
    def mute_streams(self, on: bool) -> None:
        self._set("mute", on)

    @property
    def cut_at(self) -> int | None:
        """An HTTP body ends after so many bytes, and the connection with it."""
        return next((fault.whole("at_bytes") for fault in self.of("cut")), None)

    @cut_at.setter
    def cut_at(self, at_bytes: int | None) -> None:
        self._set("cut", at_bytes is not None, at_bytes=at_bytes)

    def honoured_symbols(self, connection: int) -> int:
        """Return how many symbols this connection may have."""
        cut = self.on_stream("cut_symbols", connection)
        return cut.whole("symbols") if cut else self.symbols_per_connection

    def answer_status(self, path: str, status: int, body: bytes = b"", times: int = 1) -> None:
        """Answer the next `times` requests for `path` with `status` and `body`."""
        self.answers.setdefault(path, []).extend([Answer(status=status, body=body)] * times)

    def planned(self, path: str) -> Answer | None:
        """Take the next planned answer for `path`."""
        waiting = self.answers.get(path)
        return waiting.pop(0) if waiting else None

    def _set(self, name: str, on: bool, **values: object) -> None:
        for fault in list(self.of(name)):
            self.remove(fault)
        if on:
            self.add(catalogue.fault(name, values))
