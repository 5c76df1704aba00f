from __future__ import annotations

import json
import os
import pty
import re
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.files import FileLock
from simulator import testing
from tests.fix_cli import COMMAND, clean_environ, tickerd
from tests.fix_ports import deaf_port

TICKERS = "AAPL\nMSFT\nBRK-B\nF\nSPY\n"


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[testing.PracticeProcess]:
    folder = tmp_path_factory.mktemp("market")
    (folder / "universe.txt").write_text(TICKERS)  # a night lists whatever is traded
    with testing.process(folder, "--universe", str(folder / "universe.txt")) as running:
        yield running


@pytest.fixture
def folder(market: testing.PracticeProcess, sqlite_file: Path, tmp_path: Path) -> Path:
    """A folder with five tickers in its table, pointed at the practice market."""
    (tmp_path / "config.toml").write_text(
        f"""
        [network]
        proxy = "{market.proxy_url}"
        ca_file = "{market.ca_file}"
        start_requests_per_s = 50
        max_requests_per_s = 50
        [market]
        calendar = "always"
        """
    )
    (tmp_path / "tickers.txt").write_text(TICKERS)
    assert tickerd("universe", "import", "tickers.txt", folder=tmp_path).code == 0
    return tmp_path


def rows(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "tickerd.db")) as connection:
        return connection.execute(query).fetchall()


def on_a_terminal(*words: str, folder: Path) -> tuple[int, bytes, str]:
    """Run a command whose standard error is a terminal; return exit code, output and what the terminal got."""
    leader, terminal = pty.openpty()
    with subprocess.Popen(
        [COMMAND, *words],
        cwd=folder,
        env=clean_environ(TERM="xterm"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        seen = b""
        try:
            while chunk := os.read(leader, 65_536):
                seen += chunk
        except OSError:  # EIO: the last writer has closed the terminal
            pass
        assert process.stdout is not None
        out = process.stdout.read()
        code = process.wait(60)
    os.close(leader)
    return code, out, seen.decode()


@pytest.mark.parametrize("name", ["prices", "metrics", "daily"])
def test_one_cycle_by_hand_fills_the_table_and_leaves_a_record(folder: Path, name: str) -> None:
    ended = tickerd("scanner", name, "--once", folder=folder)

    assert (ended.code, ended.out) == (0, ""), ended.err
    assert "Traceback" not in ended.err
    assert all(json.loads(line)["service.name"] == name for line in ended.err.splitlines())
    group = "price" if name == "prices" else name
    assert rows(folder, f"SELECT count(*) FROM stocks_stock WHERE {group}_updated_at IS NOT NULL") == [(5,)]
    runs = [(name, "complete", 5)] + [("daily_bars", "complete", 5)] * (name == "daily")
    assert rows(folder, "SELECT scanner, status, expected FROM scanner_run ORDER BY id") == runs


def test_a_terminal_gets_a_bar_and_readable_lines(folder: Path) -> None:
    code, out, seen = on_a_terminal("scanner", "metrics", "--once", folder=folder)

    assert (code, out) == (0, b"")
    assert re.search(r"metrics .*━.*5/5", seen)
    assert "info    metrics: cycle_finished" in seen


def test_json_is_one_document_on_standard_output(folder: Path) -> None:
    ended = tickerd("scanner", "metrics", "--once", "--json", folder=folder)

    assert ended.json() == {
        "version": 1,
        "scanner": "metrics",
        "exit_code": 0,
        "stages": [{"stage": "metrics", "done": 5, "total": 5}],
    }


def test_an_upstream_that_does_not_answer_is_exit_69(folder: Path) -> None:
    for name, once in (("prices", ["--once"]), ("metrics", ["--once"]), ("daily", [])):
        with deaf_port() as port:
            ended = tickerd("scanner", name, *once, folder=folder, TICKERD_NETWORK__PROXY=f"http://127.0.0.1:{port}")
        assert (ended.code, ended.out) == (69, "")
        assert "Traceback" not in ended.err
        assert ended.err.splitlines()[-1].startswith("tickerd: ")


def test_a_second_copy_is_exit_75_and_names_the_first(folder: Path) -> None:
    (folder / ".tickerd").mkdir(exist_ok=True)
    lock = FileLock(folder / ".tickerd" / "metrics.lock")
    assert lock.try_acquire()
    lock.write_owner("4242")

    tickerd("scanner", "metrics", "--once", folder=folder).fails(75, "scanner metrics already runs with pid 4242")
    lock.release()


def test_data_of_the_other_market_is_never_mixed_in(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "tickerd.db")) as connection:
        connection.execute("INSERT INTO app_meta (key, value) VALUES ('origin', 'live')")
        connection.commit()
    before = rows(folder, "SELECT * FROM stocks_stock")

    for name in ("prices", "metrics", "daily"):
        ended = tickerd("scanner", name, "--once", folder=folder)
        assert (ended.code, ended.out) == (78, "")
        assert "holds live data and these are practice data" in ended.err.splitlines()[-1]
        assert "Traceback" not in ended.err

    assert rows(folder, "SELECT * FROM stocks_stock") == before


def test_an_empty_table_is_said(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "tickerd.db")) as connection:
        connection.execute("DELETE FROM stocks_stock")
        connection.commit()

    ended = tickerd("scanner", "metrics", "--once", folder=folder)

    assert (ended.code, ended.out) == (78, "")
    assert "holds no tickers; start `tickerd run`, or `tickerd universe import FILE`" in ended.err
