from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.proxies_pool import CAUSES
from proxies.model import CAUSES as ALL_CAUSES
from simulator.testing import PracticeProcess
from tests.fix_cli import Run, fits_80_columns, times_in

KINDS = {"good": 3, "dead": 1, "own_certificate": 1, "tamper_all": 1}


@pytest.fixture
def ready(here: Run, practice_process: PracticeProcess, tmp_path: Path) -> Run:
    """A database, a configuration for the practice market and a file of its fleet."""
    fleet = [member for kind, count in KINDS.items() for member in practice_process.add_proxies(kind, count)]
    (tmp_path / "mine.txt").write_text("".join(f"{member.address}\n" for member in fleet) + "127.0.0.9:22\n")
    (tmp_path / "config.toml").write_text(
        f"""
        [network]
        proxy = "{practice_process.proxy_url}"
        ca_file = "{practice_process.ca_file}"
        start_requests_per_s = 50
        max_requests_per_s = 50
        [proxies]
        sources = []
        own_networks = ["127.0.0.0/8"]
        """
    )
    assert here("db", "upgrade").code == 0
    return here


def test_a_file_is_checked_and_the_pool_shown(ready: Run, tmp_path: Path) -> None:
    ended = ready("proxies", "check", "--file", "mine.txt", "--json")
    document = ended.json()
    assert (ended.code, document["checked"], document["good"]) == (0, 6, 3)
    assert document["causes"] == {"ok": 3, "refused": 1, "bad_certificate": 1, "tampered": 1}
    assert document["refused"] == {"service_port": 1}
    assert len(document["proxies"]) == 3

    shown = ready("proxies", "list", "--json").json()
    assert shown["counts"] == {"gold": 0, "live": 3, "cooling": 0, "evicted": 3, "candidate": 0}
    keys = {"address", "protocol", "state", "exit_ip", "ok", "fail", "latency_ms", "last_ok"}
    assert all(set(each) == keys for each in shown["proxies"])
    assert len(list(times_in(shown))) == 3
    assert len((tmp_path / "http_proxies.txt").read_text().splitlines()) == 4

    text = ready("proxies", "list")
    assert "3 live" in text.out and fits_80_columns(text.out)
    again = ready("proxies", "check")
    assert (again.code, "3 of 3 work" in again.out) == (0, True)
    assert fits_80_columns(again.out)
    assert json.loads((tmp_path / "proxies.json").read_text())["proxies"]


def test_where_there_is_nothing_to_check_it_says_what_to_do(ready: Run, tmp_path: Path) -> None:
    ready("proxies", "check").fails(78, "the pool is empty", "`tickerd proxies harvest`", "proxies.own")
    ready("proxies", "check", "--file", "absent.txt").fails(78, "absent.txt", "give a file with one IP:PORT a line")
    (tmp_path / "empty.txt").write_text("\n")
    ready("proxies", "check", "--file", "empty.txt").fails(78, "names no proxy", "it is empty")
    assert "`tickerd proxies harvest`" in ready("proxies", "list").out


def test_all_dead_is_a_failure_that_says_what_goes_on(ready: Run, practice_process: PracticeProcess) -> None:
    (dead,) = practice_process.add_proxies("dead")
    Path("dead.txt").write_text(dead.address)
    ended = ready("proxies", "check", "--file", "dead.txt")
    assert ended.code == 1
    assert "The direct lane goes on alone" in ended.out


def test_every_cause_has_words() -> None:
    assert set(CAUSES) == ALL_CAUSES
