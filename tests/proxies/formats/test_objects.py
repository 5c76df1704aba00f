import json
from pathlib import Path
from typing import Any

import pytest

from proxies.formats.entries import Entry, Listed
from proxies.formats.objects import MAX_COMMAS, MAX_NODES, read_json

SAMPLES = json.loads((Path(__file__).parents[2] / "data" / "proxy_lists.json").read_text())


def read(document: Any) -> Listed:
    listed = read_json(json.dumps(document).encode())
    assert listed is not None
    return listed


@pytest.mark.parametrize(
    ("document", "entries"),
    [
        (SAMPLES["objects"], [Entry("192.0.2.1", 7080, ("http",))]),
        (SAMPLES["geonode"], [Entry("192.0.2.3", 1080, ("socks4",))]),
        (SAMPLES["wrapped"], [Entry("192.0.2.4", 9002, ("http",)), Entry("192.0.2.5", 9002, ("http",))]),
        (["8.8.8.8:80", "socks4://9.9.9.9:81"], [Entry("8.8.8.8", 80), Entry("9.9.9.9", 81, ("socks4",))]),
        ([["8.8.8.8", "80"], ["9.9.9.9", 81, "socks5"]], [Entry("8.8.8.8", 80), Entry("9.9.9.9", 81, ("socks5",))]),
        (
            {"socks5": ["8.8.8.8:80"], "http": {"x": ["9.9.9.9:81"]}},
            [Entry("8.8.8.8", 80, ("socks5",)), Entry("9.9.9.9", 81, ("http",))],
        ),
        ({"8.8.8.8:80": {"ok": 1}, "9.9.9.9:81": {"ok": 2}}, [Entry("8.8.8.8", 80), Entry("9.9.9.9", 81)]),
        ({"a": {"b": {"c": [{"IP": "8.8.8.8", "PORT": 80}]}}}, [Entry("8.8.8.8", 80)]),
        (
            [{"proxy": "http://8.8.8.8:80", "ip": "8.8.8.8", "port": 80, "ip_data": {"ip": "9.9.9.9", "port": 1}}],
            [Entry("8.8.8.8", 80)],
        ),
        ([{"proxy": "socks5://8.8.8.8:80", "exit_ip": "9.9.9.9"}], [Entry("8.8.8.8", 80, ("socks5",))]),
        ([{"ip": "8.8.8.8", "port": "80", "protocols": ["x", "socks5"]}], [Entry("8.8.8.8", 80, ("socks5",))]),
        (
            [{"ip": "8.8.8.8", "port": "80", "protocols": ["socks5", "http"]}],
            [Entry("8.8.8.8", 80, ("http", "socks5"))],
        ),
        ({"status": "ok", "count": 0, "data": []}, []),
        (None, []),
        (5, []),
    ],
)
def test_the_shapes_of_published_json(document: Any, entries: list[Entry]) -> None:
    listed = read(document)
    assert (listed.shape, listed.entries) == ("json", entries)


def test_what_is_no_address_is_counted_by_reason() -> None:
    document = [
        {"host": "localhost", "port": 80},
        {"ip": "8.8.8.8", "port": True},
        {"ip": "8.8.8.8", "port": 80.5},
        {"ip": "8.8.8.8", "port": -80},
        {"ip": "8.8.8.8", "port": 65536},
        {"ip": 134744072, "port": 80},
        {"ip": "8.8.8.8", "port": 80, "username": "me", "password": "word"},
        {"ip": "9.9.9.9", "port": 80, "username": None, "password": ""},
    ]
    listed = read(document)
    assert listed.entries == [Entry("9.9.9.9", 80)]
    assert listed.refused == {"not_an_address": 2, "bad_port": 2, "credentials": 1}


def test_one_object_a_line_is_json_too() -> None:
    listed = read_json(b'{"ip":"8.8.8.8","port":80}\n{"ip": broken\n{"ip":"9.9.9.9","port":81}\n')
    assert listed is not None
    assert listed.entries == [Entry("8.8.8.8", 80), Entry("9.9.9.9", 81)]


@pytest.mark.parametrize("body", [b"", b"8.8.8.8:80", b"{broken", b"[" * 100_000, b'{"a":' * 5000, b"\xff\xfe{"])
def test_what_is_no_json_is_left_to_others(body: bytes) -> None:
    assert read_json(body) is None


def test_a_document_of_too_many_parts_is_not_unpacked() -> None:
    assert read_json(b"[" + b"[]," * MAX_NODES + b"[]]") is None
    assert read_json(b"[" + b"1," * (MAX_COMMAS + 1) + b"1]") is None


def test_the_depth_of_a_document_harms_nobody() -> None:
    listed = read_json(b"[" * 900 + b'"8.8.8.8:80"' + b"]" * 900)
    assert listed is not None
    assert listed.entries == [Entry("8.8.8.8", 80)]
