"""One list in, its entries out: finds out what the content is, whatever it is called. Pure, bounded, never raises."""

from __future__ import annotations

import binascii
import codecs
import re
from base64 import b64decode
from itertools import islice
from typing import Literal, get_args

from proxies.formats.entries import MAX_ROWS, Entry, Listed, endpoint
from proxies.formats.objects import read_json
from proxies.formats.pages import is_page, read_page
from proxies.formats.rows import read_lines

Format = Literal["auto", "text", "csv", "json", "html", "base64"]
FORMATS: tuple[Format, ...] = get_args(Format)
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{12,}+={0,2}")
"""At least `1.1.1.1:80`, packed. The plus makes it never look back."""
_WORD = re.compile(rb"\S+")
_BLANK = b" \t\r\n"


def read_list(body: bytes, *, format: Format = "auto") -> Listed:
    """Return the entries of a list. `format`: "auto" = what the content is; else it is taken as nothing but that."""
    body = body.removeprefix(codecs.BOM_UTF8)
    if format in ("auto", "json") and (format == "json" or body.lstrip()[:1] in (b"{", b"[")):
        listed = read_json(body)
        if listed is not None or format == "json":
            return listed or Listed(shape="json")
    if format in ("auto", "base64") and (unpacked := _unpacked(body)):
        listed = read_list(unpacked, format="text" if format == "base64" else "auto")
        listed.shape = "base64"
        return listed
    if format == "base64":
        return Listed(shape="base64")
    text = _decoded(body)
    return read_page(text) if format == "html" or (format == "auto" and is_page(text)) else read_lines(text)


def _decoded(body: bytes) -> str:
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", "replace")
    return body.decode("utf-8", "replace")


def _unpacked(body: bytes) -> bytes:
    """Return what is packed in base64, word by word or as a whole; nothing if it is not, or packed twice."""
    first = _WORD.search(body)
    if first is None or not _BASE64.fullmatch(first[0]):
        return b""
    if isinstance(endpoint(_plain(first[0]).decode("utf-8", "replace").strip()), Entry):
        words = (word[0] for word in islice(_WORD.finditer(body), MAX_ROWS))
        return b"\n".join(_plain(word) for word in words if _BASE64.fullmatch(word))
    whole = body.translate(None, _BLANK)
    unpacked = _plain(whole) if _BASE64.fullmatch(whole) else b""
    return unpacked if b"." in unpacked and b":" in unpacked else b""


def _plain(packed: bytes) -> bytes:
    packed = packed.rstrip(b"=")
    try:
        return b64decode(packed + b"=" * (-len(packed) % 4), b"-_" if b"-" in packed or b"_" in packed else None)
    except binascii.Error:
        return b""
