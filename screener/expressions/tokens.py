"""Text -> tokens. Knows no grammar."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from screener.expressions.errors import ExpressionError

LONGEST_CHARACTERS = 4000
Kind = Literal["number", "text", "name", "sign", "end"]
PATTERN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<text>"[^"\n]*"|'[^'\n]*')
    |(?P<sign><=|>=|==|!=|<>|[-+*/<>=(),\[\]])""",
    re.VERBOSE,
)
UNCLOSED = re.compile(r"""["'].*""")


@dataclass(frozen=True, slots=True)
class Token:
    """`word`: as written, names and words of the language in lower case; a text without its quotes."""

    kind: Kind
    word: str
    start: int
    end: int
    number: float = math.nan


def tokens(text: str) -> list[Token]:
    """Return the tokens of `text` with an "end" after them; ExpressionError where nothing of the language stands."""
    if len(text) > LONGEST_CHARACTERS:
        reason = f"is {len(text):,} characters long, at most {LONGEST_CHARACTERS:,} are read"
        raise ExpressionError(reason, text=text, start=LONGEST_CHARACTERS, end=len(text), right="split it in two scans")
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = PATTERN.match(text, at)
        if match is None:
            raise _nonsense(text, at)
        if match.lastgroup != "space":
            found.append(_token(match, text))
        at = match.end()
    return [*found, Token("end", "", len(text), len(text))]


def _token(match: re.Match[str], text: str) -> Token:
    word, start, end = match[0], match.start(), match.end()
    if match.lastgroup == "number":
        return Token("number", word, start, end, _number(word, text, start))
    if match.lastgroup == "name":
        return Token("name", word.lower(), start, end)
    if match.lastgroup == "text":
        return Token("text", word[1:-1], start, end)
    return Token("sign", {"<>": "!="}.get(word, word), start, end)


def _number(word: str, text: str, start: int) -> float:
    value = float(word.replace("_", ""))
    if not math.isfinite(value):
        raise ExpressionError(f"{word} is too large", text=text, start=start, end=start + len(word))
    return value


def _nonsense(text: str, at: int) -> ExpressionError:
    if unclosed := UNCLOSED.match(text, at):
        return ExpressionError("this text has no end", text=text, start=at, end=unclosed.end(), right="close the quote")
    rights = {
        "&": 'write "and"',
        "|": 'write "or"',
        "!": 'write "not"',
        ".": "a field is one word, like rsi14",
        "%": "write the share as a number, like 0.05",
    }
    right = rights.get(text[at], "see `tickerd scan fields` and docs/scans.md")
    return ExpressionError(f"{text[at]!r} means nothing here", text=text, start=at, end=at + 1, right=right)
