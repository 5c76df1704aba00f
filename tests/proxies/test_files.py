from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.errors import FixByHand
from proxies.addresses import AddressFilter
from proxies.files import Exporter, read_bytes, read_file, saved_of
from proxies.model import Address, Member

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
ALLOWED = AddressFilter()


def member(number: int, state: str = "live", protocol: str = "http", latency_ms: float = 500.0) -> Member:
    address = Address(protocol, f"9.9.9.{number}", 8080)  # type: ignore[arg-type]
    return Member(address=address, state=state, first_seen=NOW, latency_ms=latency_ms, cookie="A3=x", crumb="c")  # type: ignore[arg-type]


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not line.startswith("#")]


def test_gold_comes_first_then_the_quick_ones_and_each_protocol_has_its_file(tmp_path: Path) -> None:
    file = tmp_path / "http_proxies.txt"
    members = [
        member(1, latency_ms=900),
        member(2, latency_ms=100),
        member(3, "gold", latency_ms=5000),
        member(4, "gold", "socks5"),
        member(5, "live", "socks4"),
        member(6, "cooling"),
        member(7, "evicted"),
        member(8, "candidate"),
        replace(member(9), cool_until=NOW + timedelta(seconds=5)),
    ]
    assert Exporter(file).write(members, now=NOW) == 5
    assert file.read_text().startswith("# tickerd, 2026-11-23T17:00:00.000Z: 3 working http proxies")
    assert lines(file) == ["9.9.9.3:8080", "9.9.9.2:8080", "9.9.9.1:8080"]
    assert lines(tmp_path / "socks5_proxies.txt") == ["9.9.9.4:8080"]
    assert lines(tmp_path / "socks4_proxies.txt") == ["9.9.9.5:8080"]
    document = json.loads((tmp_path / "proxies.json").read_text())
    assert (document["version"], document["at"], len(document["proxies"])) == (1, "2026-11-23T17:00:00.000Z", 5)
    assert not any(set(each) & {"cookie", "crumb"} for each in document["proxies"]), "they are bound to an exit"


def test_a_list_is_never_emptied_the_last_good_one_stays_with_its_time(tmp_path: Path) -> None:
    file = tmp_path / "http_proxies.txt"
    exporter = Exporter(file)
    exporter.write([member(1), member(2, protocol="socks5")], now=NOW)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert exporter.write([member(1, "evicted")], now=NOW + timedelta(hours=1)) == 0
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    exporter.write([member(3, protocol="socks5")], now=NOW + timedelta(hours=2))
    assert lines(file) == ["9.9.9.1:8080"], "there is no other yet"


def test_a_reader_sees_the_old_list_or_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "http_proxies.txt"
    Exporter(file).write([member(1)], now=NOW)
    with file.open() as reader:
        Exporter(file).write([member(2), member(3)], now=NOW)
        assert "9.9.9.1:8080" in reader.read(), "renamed over, not written into"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_users_own_file_is_saved_before_it_is_replaced_and_his_passwords_stay(tmp_path: Path) -> None:
    file = tmp_path / "http_proxies.txt"
    mine = "9.9.9.7:3128\nme:secret@9.9.9.8:3128\n"
    file.write_text(mine)
    file.chmod(0o600)
    for number in (1, 2):
        Exporter(file).write([member(number)], now=NOW)
        assert lines(file) == [f"9.9.9.{number}:8080", "me:secret@9.9.9.8:3128"]
        assert saved_of(file).read_text() == mine
    assert saved_of(file).stat().st_mode & 0o077 == 0
    if os.name == "posix":
        assert file.stat().st_mode & 0o777 == 0o600, "as closed as he made it"


def test_a_file_is_read_whatever_its_form(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text(
        "\ufeff9.9.9.1:80\r\nsocks5://9.9.9.2:1080\n127.0.0.7:80\n9.9.9.3:22\nme:pw@9.9.9.4:80\nrubbish\n\n"
    )
    found = read_file(file, ALLOWED)
    assert set(found.addresses) == {
        Address("http", "9.9.9.1", 80),
        Address("socks5", "9.9.9.2", 1080),
        Address("http", "9.9.9.4", 80),
    }
    assert found.urls == {Address("http", "9.9.9.4", 80): "http://me:pw@9.9.9.4:80"}
    assert (found.refused["private"], found.refused["service_port"]) == (1, 1)
    assert read_bytes(b'[{"ip": "9.9.9.1", "port": 80}]', ALLOWED).addresses == [Address("http", "9.9.9.1", 80)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"cannot be read \(No such file or directory\); give a file with one IP:PORT a line"),
        (b"", r"names no proxy that may be used \(it is empty\); give one IP:PORT a line"),
        (b"127.0.0.7:80\n", r"names no proxy that may be used \(1 private\)"),
        (b"9.9.9.1:80\n" * 500_000, "is larger than 5 MiB"),
    ],
)
def test_a_file_without_proxies_says_what_is_wrong_and_what_would_be_right(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "mine.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(FixByHand, match=said) as caught:
        read_file(file, ALLOWED)
    assert str(file) in str(caught.value)
