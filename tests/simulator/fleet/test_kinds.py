from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from core.errors import FixByHand
from simulator.fleet.kinds import KINDS, MOST, describe, exit_address, from_text, order
from simulator.trouble.catalogue import KINDS as FAULTS


def test_a_fleet_is_kinds_and_protocols_with_their_counts() -> None:
    orders = from_text("good=20, good/socks5=4,dead=1,")

    assert [(each.kind.name, each.protocol, each.count) for each in orders] == [
        ("good", "http", 20),
        ("good", "socks5", 4),
        ("dead", "http", 1),
    ]
    assert from_text("") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("good", "--fleet: 'good' is no KIND=COUNT; write it as good=20,good/socks5=4,dead=10"),
        ("good=many", "--fleet: 'good=many' is no KIND=COUNT"),
        ("good=-1", "--fleet: 'good=-1' is no KIND=COUNT"),
        ("nice=1", "--fleet: 'nice' is no kind of proxy; known: auth, bomb, "),
        ("good/ftp=1", "--fleet: 'ftp' is no protocol; known: http, socks4a, socks5"),
        ("good=0", f"--fleet: good: 0 proxies; give a count from 1 to {MOST}"),
        (f"good={MOST + 1}", f"--fleet: good: {MOST + 1} proxies; give a count from 1 to {MOST}"),
    ],
)
def test_a_wrong_fleet_is_told(text: str, reason: str) -> None:
    with pytest.raises(FixByHand) as refused:
        from_text(text)
    assert str(refused.value).startswith(reason)


@pytest.mark.parametrize("count", [1.5, True, "3", None])
def test_a_count_is_a_whole_number(count: object) -> None:
    with pytest.raises(FixByHand, match="give a count from 1"):
        order(kind="good", count=count)


def test_an_exit_is_an_address() -> None:
    assert order(kind="good", exit="198.18.0.7").exit == "198.18.0.7"
    with pytest.raises(FixByHand, match="exit: 'here' is no address; use one like"):
        order(kind="good", exit="here")


def test_no_exit_is_anybody_s_and_none_comes_twice() -> None:
    exits = [exit_address(number) for number in range(3 * MOST + 1)]

    assert len(set(exits)) == len(exits)
    assert all(ip_address(exit) in ip_network("198.18.0.0/15") for exit in (exits[0], exits[-1]))


def test_every_kind_does_known_faults_and_is_told() -> None:
    page = describe()
    for kind in KINDS.values():
        assert set(kind.faults) <= FAULTS.keys()
        assert f"\n{kind.name} " in f"\n{page}"


def test_every_kind_stands_in_the_documents() -> None:
    page = (Path(__file__).parents[3] / "docs" / "practice-market.md").read_text(encoding="utf-8")

    assert [kind.name for kind in KINDS.values() if f"| `{kind.name}` | {kind.help} |" not in page] == []


def test_only_an_answer_of_200_without_a_page_opens_a_tunnel() -> None:
    assert [name for name, kind in KINDS.items() if not kind.opens] == [
        "auth",
        "busy",
        "forbidden",
        "web_server",
        "html",
    ]
