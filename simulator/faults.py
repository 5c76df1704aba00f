"""What goes wrong on purpose. Holds the orders; the servers carry them out."""

from __future__ import annotations

from dataclasses import dataclass, field

SYMBOLS_PER_CONNECTION = 100
"""What Yahoo's stream was measured to honour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A planned answer in place of the true one."""

    status: int
    body: bytes


@dataclass(slots=True, kw_only=True)
class Faults:
    """Set the fields while the server runs; each takes effect at once.

    `refuse_connections`: new connections are reset. `mute_streams`: pings are answered, no prices come.
    `drop_symbols`: unknown to quotes and stream. `cut_at`: an HTTP body ends after so many bytes.
    """

    refuse_connections: bool = False
    mute_streams: bool = False
    drop_symbols: set[str] = field(default_factory=set)
    cut_at: int | None = None
    symbols_per_connection: int = SYMBOLS_PER_CONNECTION
    answers: dict[str, list[Answer]] = field(default_factory=dict)

    def answer_status(self, path: str, status: int, body: bytes = b"", times: int = 1) -> None:
        """Answer the next `times` requests for `path` with `status` and `body`."""
        self.answers.setdefault(path, []).extend([Answer(status=status, body=body)] * times)

    def planned(self, path: str) -> Answer | None:
        """Take the next planned answer for `path`."""
        waiting = self.answers.get(path)
        return waiting.pop(0) if waiting else None
