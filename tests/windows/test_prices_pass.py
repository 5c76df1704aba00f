"""Prices from the practice market into a SQLite table, all of it on Windows."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from simulator import testing

COMMAND = Path(sys.executable).parent / "Scripts" / "tickerd.exe"
TICKERS = "AAPL\nMSFT\nBRK-B\nF\nSPY\n"


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[testing.PracticeProcess]:
    folder = tmp_path_factory.mktemp("market")
    (folder / "tickers.txt").write_text(TICKERS, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(testing, "READY_S", 120.0)  # under Wine, on a busy machine
        with testing.process(folder, "--universe", str(folder / "tickers.txt")) as running:
            yield running


@pytest.fixture
def folder(market: testing.PracticeProcess, tmp_path: Path) -> Path:
    """A folder with five tickers in its table, pointed at the practice market."""
    (tmp_path / "config.toml").write_text(
        f"[network]\nproxy = '{market.proxy_url}'\nca_file = '{market.ca_file}'\n"
        "start_requests_per_s = 50\nmax_requests_per_s = 50\n[market]\ncalendar = 'always'\n",
        encoding="utf-8",
    )
    (tmp_path / "tickers.txt").write_text(TICKERS, encoding="utf-8")
    assert tickerd("db", "upgrade", folder=tmp_path).returncode == 0
    assert tickerd("universe", "import", "tickers.txt", folder=tmp_path).returncode == 0
    return tmp_path


def tickerd(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *words],
        cwd=folder,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=200,
    )


def rows(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "tickerd.db")) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize(("name", "group"), [("prices", "price"), ("metrics", "metrics"), ("daily", "daily")])
def test_one_pass_fills_the_table_and_leaves_a_record(folder: Path, name: str, group: str) -> None:
    ended = tickerd("scanner", name, "--once", folder=folder)

    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    assert {json.loads(line)["service.name"] for line in ended.stderr.splitlines()} <= {name}
    assert rows(folder, f"SELECT count(*) FROM stocks_stock WHERE {group}_updated_at IS NOT NULL") == [(5,)]
    runs = [(name, "complete", 5)] + [("daily_bars", "complete", 5)] * (name == "daily")
    assert rows(folder, "SELECT scanner, status, expected FROM scanner_run ORDER BY id") == runs
    assert rows(folder, "SELECT min(current_price) > 0 FROM stocks_stock") == [(1,)]
