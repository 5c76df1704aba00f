"""What is wrong with an expression, and where. Decides nothing."""

from __future__ import annotations

from core.errors import EXIT_USAGE, TickerdError

WIDEST = 100
"""Characters of the line that a caret is shown under."""


class ExpressionError(TickerdError):
    """`start` and `end`: the characters of `text` that are at fault."""

    exit_code = EXIT_USAGE

    def __init__(self, reason: str, *, text: str, start: int, end: int, right: str = "") -> None:
        super().__init__(reason, where=f"column {start + 1}", right=right)
        self.text, self.start, self.end = text, start, max(end, start + 1)

    def pointed(self) -> str:
        """Return the line, carets under what is at fault, and the reason: for people."""
        begin = self.text.rfind("\n", 0, self.start) + 1
        stop = self.text.find("\n", self.start)
        line = self.text[begin : stop if stop >= 0 else len(self.text)].replace("\t", " ")
        at = self.start - begin
        cut = max(0, at - WIDEST // 2)
        shown = line[cut : cut + WIDEST]
        carets = "^" * max(1, min(self.end - self.start, len(shown) - (at - cut)))
        return f"{shown}\n{' ' * (at - cut)}{carets}\n{self.reason}{'; ' + self.right if self.right else ''}"
