from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import FixByHand
from simulator.trouble.script import Happening, from_file


def script(folder: Path, text: str) -> Path:
    path = folder / "day.toml"
    path.write_text(text)
    return path


def test_a_script_is_proxies_faults_and_events(tmp_path: Path) -> None:
    read = from_file(
        script(
            tmp_path,
            """
            [[proxies]]
            kind = "good"
            count = 3
            protocol = "socks5"
            exit = "198.18.0.9"

            [[step]]
            at_s = 10
            fault = "mute"
            for_s = 30.5

            [[step]]
            at_s = 60
            fault = "too_many"
            exit = "198.18.0.9"

            [[step]]
            at_s = "1m"
            event = "split"
            ticker = "AAPL"
            new = 4
            old = 1
            """,
        )
    )

    (order,) = read.fleet
    assert (order.kind.name, order.count, order.protocol, order.exit) == ("good", 3, "socks5", "198.18.0.9")
    assert [(fault.kind.name, fault.at_s, fault.for_s) for fault in read.faults] == [
        ("mute", 10.0, 30.5),
        ("too_many", 60.0, None),
    ]
    assert read.faults[1].text("exit") == "198.18.0.9"
    assert read.events == [Happening(at_s=60.0, event="split", ticker="AAPL", details={"new": 4, "old": 1})]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[step]", "day.toml: no TOML: "),
        ("[[stop]]", "day.toml: 'stop' is no part of a script; known: proxies, step"),
        ("step = 5", "day.toml: step is no list of tables; write [[step]] and [[proxies]]"),
        ("[step]\nat_s = 1", "day.toml: step is no list of tables"),
        ("[[step]]\nat_s = 1", "day.toml: step 1: neither fault nor event; give fault = "),
        ('[[step]]\nfault = "mute"\n[[step]]\nfault = "moot"', "day.toml: step 2: 'moot' is no fault; known: answer, "),
        ('[[step]]\nfault = "mute"\nat_s = "soon"', "day.toml: step 1: at_s: 'soon' is no duration"),
        ('[[step]]\nfault = "mute"\nfor = 3', "day.toml: step 1: 'for' is no parameter of mute; known: connections"),
        ("[[step]]\nfault = 5", "day.toml: step 1: fault: 5 is no text"),
        ('[[step]]\nevent = "halt"', "day.toml: step 1: ticker: None is no text"),
        ('[[step]]\nevent = "dance"\nticker = "F"', "day.toml: step 1: 'dance' is no event; known: delist, "),
        ('[[proxies]]\nkind = "nice"', "day.toml: proxies 1: 'nice' is no kind of proxy; known: auth, "),
        ('[[proxies]]\nkind = "good"\ncount = 0', "day.toml: proxies 1: good: 0 proxies; give a count from 1"),
        ('[[proxies]]\nkind = "good"\nnumber = 3', "day.toml: proxies 1: 'number' is no key; known: count, exit, "),
    ],
)
def test_a_broken_script_is_told_with_its_step(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(FixByHand) as refused:
        from_file(script(tmp_path, text))
    assert reason in str(refused.value)


def test_a_script_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FixByHand, match=r"nowhere\.toml: cannot be read"):
        from_file(tmp_path / "nowhere.toml")
