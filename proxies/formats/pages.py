"""Lists in web pages: table rows, else the text between the tags. Runs no script and follows no link."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from html import unescape
from itertools import chain, pairwise

from proxies.formats.entries import Listed
from proxies.formats.rows import read_table, read_words

# Each of these looks no further than the next mark, so that a page of nothing but marks takes no longer than another.
_PAGE = re.compile(
    r"<(?:!doctype html|html|head|body|table|tr|td|pre|li|div|br|p|span)(?:\s[^<>]{0,500})?/?>", re.IGNORECASE
)
_ROW = re.compile(r"<tr\b", re.IGNORECASE)
_CELL = re.compile(r"<t[dh]\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
_HIDDEN = re.compile(r"""Base64\.decode\(["']([A-Za-z0-9+/=]{4,400})["']\)""")
SNIFFED = 65_536
MOST_CELLS = 40
"""Of a row; the widest table that was seen has 8."""


def is_page(text: str) -> bool:
    """Whether a text is HTML."""
    return _PAGE.search(text, 0, SNIFFED) is not None


def read_page(text: str) -> Listed:
    """Return the list of a page."""
    listed = read_table(_rows(text), shape="html")
    return listed if listed.entries else _between_tags(text)


def _rows(text: str) -> Iterator[list[str]]:
    starts = (match.start() for match in _ROW.finditer(text))
    for start, end in pairwise(chain(starts, [len(text)])):
        cells = _CELL.split(text[start:end], MOST_CELLS)[1:]
        if cells:
            yield [_words(cell) for cell in cells]


def _words(cell: str) -> str:
    shown = _HIDDEN.sub(lambda match: _plain(match[1]), cell)
    return " ".join(unescape(_TAG.sub(" ", shown)).split())


def _plain(hidden: str) -> str:
    try:
        return b64decode(hidden, validate=True).decode("ascii", "replace")
    except binascii.Error:
        return ""


def _between_tags(text: str) -> Listed:
    listed = Listed(shape="html")
    read_words(unescape(_TAG.sub(" ", text)), listed)
    return listed
