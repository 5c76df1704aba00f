"""`tickerd demo` as a newcomer meets it: real processes, all 8,782 tickers. One story, as each part needs the last."""

from __future__ import annotations

import re
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest

from daemon import client
from tests.fix_cli import Ended, family, fits_80_columns, running, tickerd
from tests.fix_daemon import wait_until

ALL = 8782
WORDS = re.compile(r"after +(\d+) s: ([\d,]+) of 8,782 tickers have a fresh price, ([\d,]+) have fresh metrics")
HARMFUL = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    "TICKERD_DATABASE__URL": "postgresql+psycopg://nobody@127.0.0.1:1/nothing",
    "TICKERD_UNIVERSE__LIMIT": "3",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "https_proxy": "http://127.0.0.1:1",
}
"""Each of these would make the demo fail if it reached it."""


def ask(folder: Path, *words: str) -> Ended:
    return tickerd(*words, "--config", folder / "config.toml", folder=folder.parent)


def process(folder: Path, name: str) -> dict[str, Any]:
    document = client.ask(folder / "state", {"command": "status"}, timeout_s=60)
    return next(dict(each) for each in document["processes"] if each["name"] == name)


def counted(text: str) -> tuple[int, int]:
    """Return the last numbers of priced tickers and of those with metrics that the demo told."""
    _, priced, with_metrics = WORDS.findall(text)[-1]
    return int(priced.replace(",", "")), int(with_metrics.replace(",", ""))


def check_that_everything_runs(folder: Path) -> None:
    ended = ask(folder, "status", "--json")
    assert ended.code == 0
    for each in ended.json()["processes"]:
        if each["wanted"]:
            assert (each["state"], each["restarts"]) == ("running", 0)
            assert 10 < each["rss_mb"] < 400
            assert each["beat_age_s"] < 30
    names = {each["name"] for each in ended.json()["processes"] if each["wanted"]}
    assert names >= {"prices", "metrics", "recorder", "api"}
    assert ended.json()["alerts"] == []
    assert ended.json()["database"] == {
        "url": f"sqlite:///{folder}/tickerd.db",
        "origin": "practice",
        "reachable": True,
    }


def check_what_a_newcomer_looks_at(folder: Path) -> None:
    status = ask(folder, "status").out.splitlines()
    assert all(len(line.rstrip()) <= 80 for line in status if not line.startswith("database"))
    quotes = ask(folder, "quote", "AAPL", "BRK.B", "F")
    assert (quotes.code, fits_80_columns(quotes.out)) == (0, True)
    (row, _) = ask(folder, "quote", "AAPL", "BRK.B", "--json").json()["quotes"]
    assert row["current_price"] > 0
    assert row["price_age_s"] < 120
    assert "prices_started tickers=8782" in ask(folder, "logs", "prices").out


def check_that_the_dashboard_is_there(text: str) -> None:
    (address,) = re.findall(r"http://127\.0\.0\.1:\d+/", text)
    with urlopen(address, timeout=60) as page:
        assert b"tickerd" in page.read()


def check_that_a_killed_scanner_comes_back(folder: Path) -> None:
    psutil.Process(process(folder, "prices")["pid"]).kill()

    def back() -> bool:
        found = process(folder, "prices")
        return bool(found["restarts"] == 1 and found["state"] == "running")

    wait_until(back, within_s=60)
    assert process(folder, "prices")["last_exit"]["signal"] == signal.SIGKILL
    wait_until(lambda: recorded_kill(folder), within_s=60)


def recorded_kill(folder: Path) -> bool:
    query = "SELECT cause, signal FROM scanner_event WHERE process = 'prices' AND event = 'scanner_failed'"
    with closing(sqlite3.connect(folder / "tickerd.db")) as connection:
        return connection.execute(query).fetchall() == [("signal", 9)]


def no_traceback(folder: Path) -> bool:
    return not any("Traceback" in file.read_text() for file in (folder / "logs").iterdir())


@pytest.mark.timeout(900)
def test_a_demo_fills_the_table_heals_itself_ends_whole_and_can_be_had_again(tmp_path: Path) -> None:
    folder, output = tmp_path / "demo", tmp_path / "said"
    with running("demo", "--folder", "demo", folder=tmp_path, output=output, **HARMFUL) as demo:
        wait_until(lambda: "The table is full" in output.read_text() or demo.poll() is not None, within_s=240)
        priced, with_metrics = counted(output.read_text())
        assert priced == ALL
        assert with_metrics >= 0.95 * ALL
        check_that_everything_runs(folder)
        check_what_a_newcomer_looks_at(folder)
        check_that_the_dashboard_is_there(output.read_text())
        check_that_a_killed_scanner_comes_back(folder)

        everybody = family(demo.pid)
        assert len(everybody) >= 5  # the practice market, the orchestrator and three of its children
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
        assert [each for each in everybody if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []
    text = output.read_text()
    assert text.endswith("tickerd demo: everything has ended; start it again whenever you like\n")
    assert "Traceback" not in text
    assert no_traceback(folder)

    for seconds in ("12", "40", "80"):  # the first is enough on a machine with time for it
        again = tickerd("demo", "--folder", "demo", "--seconds", seconds, "--json", folder=tmp_path)
        document = again.json()
        if document["full"]:
            break
    assert document.keys() == {"version", "folder", "full", "after_s", "total", "priced", "with_metrics"}
    assert (again.code, document["full"], document["total"]) == (0, True, ALL)
    assert document["priced"] >= 0.99 * ALL
    assert document["with_metrics"] >= 0.95 * ALL
    assert no_traceback(folder)
