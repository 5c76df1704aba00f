import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxies.addresses import ip_number
from proxies.formats.entries import MAX_ENTRIES, Entry
from proxies.formats.reading import Format, read_list

TWO = [Entry("8.8.8.8", 80), Entry("9.9.9.9", 8080)]
PLAIN = b"8.8.8.8:80\n9.9.9.9:8080\n"
SAMPLES = json.loads((Path(__file__).parents[2] / "data" / "proxy_lists.json").read_text())
HALF_A_MEGABYTE = 1 << 19


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        (PLAIN, "text"),
        (b"\xef\xbb\xbf" + PLAIN, "text"),
        (PLAIN.decode().encode("utf-16"), "text"),
        (b"\xff\x00\x80 caf\xe9\n" + PLAIN, "text"),
        (b"ip,port\n8.8.8.8,80\n9.9.9.9,8080\n", "csv"),
        (b'\n ["8.8.8.8:80","9.9.9.9:8080"]', "json"),
        (b"<!DOCTYPE html><pre>" + PLAIN, "html"),
        (base64.b64encode(PLAIN), "base64"),
        (base64.encodebytes(PLAIN * 1), "base64"),
        (base64.urlsafe_b64encode(PLAIN).rstrip(b"="), "base64"),
        (base64.b64encode(b"8.8.8.8:80") + b"\n" + base64.b64encode(b"9.9.9.9:8080"), "base64"),
        (base64.b64encode(b'["8.8.8.8:80","9.9.9.9:8080"]'), "base64"),
    ],
)
def test_the_content_decides_what_a_list_is(body: bytes, shape: str) -> None:
    listed = read_list(body)
    assert (listed.shape, listed.entries) == (shape, TWO)


@pytest.mark.parametrize(
    ("body", "shape", "count"),
    [
        (json.dumps(SAMPLES["objects"]).encode(), "json", 1),
        (json.dumps(SAMPLES["geonode"]).encode(), "json", 1),
        (json.dumps(SAMPLES["wrapped"], indent=0).encode(), "json", 2),
        (SAMPLES["html"].encode(), "html", 1),
        ("\n".join(SAMPLES["bogus_lines"]).encode(), "text", 2),
    ],
)
def test_rows_of_published_lists(body: bytes, shape: str, count: int) -> None:
    listed = read_list(body)
    assert (listed.shape, len(listed.entries)) == (shape, count)


@pytest.mark.parametrize(
    ("format", "count"), [("text", 2), ("csv", 2), ("html", 2), ("json", 0), ("base64", 0), ("auto", 2)]
)
def test_a_list_may_be_told_what_it_is(format: Format, count: int) -> None:
    assert len(read_list(PLAIN, format=format).entries) == count


def test_what_is_told_to_be_json_or_base64_is_nothing_else() -> None:
    assert read_list(b'["8.8.8.8:80"]', format="json").entries == TWO[:1]
    assert read_list(base64.b64encode(PLAIN), format="base64").entries == TWO
    assert read_list(base64.b64encode(PLAIN), format="text").entries == []


def test_what_is_packed_twice_is_not_unpacked_twice() -> None:
    assert read_list(base64.b64encode(base64.b64encode(PLAIN))).entries == []


@pytest.mark.parametrize(
    "body", [b"", b"\n", b"{", b"<html>", b"AAAAAAAAAAAAAAAA", b"\x00" * 1000, bytes(range(256)) * 99]
)
def test_what_holds_no_address_gives_none(body: bytes) -> None:
    assert read_list(body).entries == []


POISON = {
    "one endless word": b"a" * HALF_A_MEGABYTE,
    "blanks": b" " * HALF_A_MEGABYTE + b"!",
    "line ends": b"\n" * HALF_A_MEGABYTE,
    "open brackets": b"<html>" + b"<" * HALF_A_MEGABYTE,
    "open cells": b"<tr>" + b"<td>" * (HALF_A_MEGABYTE // 4),
    "open lists": b"[" * HALF_A_MEGABYTE,
    "base64 with an end that is none": b"A" * HALF_A_MEGABYTE + b"!",
    "at signs": (b"a@" * 140 + b"\n") * (HALF_A_MEGABYTE // 281),
    "colons": (b"a:" * 140 + b"\n") * (HALF_A_MEGABYTE // 281),
    "a quote without end": b'ip,port\n"' + b"a," * (HALF_A_MEGABYTE // 2),
}


@pytest.mark.parametrize("name", POISON)
def test_a_lot_of_anything_is_read_in_one_go(name: str) -> None:
    """What takes the square of its length would not end within the time that a test has."""
    listed = read_list(POISON[name])
    assert listed.entries == []
    assert listed.rows <= 200_001


def test_more_addresses_than_a_list_may_have_are_cut_off() -> None:
    listed = read_list(b"8.8.8.8:80\n" * (MAX_ENTRIES + 1))
    assert (len(listed.entries), listed.cut) == (MAX_ENTRIES, True)


@given(
    body=st.binary(max_size=300)
    | st.text(alphabet='0123456789.:,;|{}[]"<>td/ \nhttpsocks@', max_size=300).map(str.encode)
)
def test_whatever_comes_only_canonical_addresses_leave(body: bytes) -> None:
    for entry in read_list(body).entries:
        assert ip_number(entry.ip) is not None
        assert 1 <= entry.port <= 65535
