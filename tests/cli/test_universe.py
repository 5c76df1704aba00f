from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from simulator import testing
from tests.fix_cli import Run, fits_80_columns, tickerd

LINES = """\
# my tickers
aapl

BRK.B
AAPL
???
MSFT  # the third
two words
brk-b
"""
DUPLICATE, JUNK, SPACE, TWICE = 5, 6, 8, 9


@pytest.fixture
def imported(here: Run, sqlite_file: Path, tmp_path: Path) -> Run:
    """A file of tickers beside an empty table."""
    assert sqlite_file == tmp_path / "tickerd.db"
    (tmp_path / "mine.txt").write_text(LINES)
    return here


def test_bad_rows_are_named_by_their_line_and_the_rest_is_loaded(imported: Run) -> None:
    ended = imported("universe", "import", "mine.txt")

    assert (ended.code, ended.out) == (1, "3 tickers added, 0 updated, 4 rows refused\n")
    assert ended.err.splitlines() == [
        "tickerd: mine.txt: line 5: AAPL is already on line 2",
        "tickerd: mine.txt: line 6: '???' does not have the form of a US ticker; "
        "write a US ticker like AAPL, BRK.B or ABR^D",
        "tickerd: mine.txt: line 8: 'two words' holds a space, a control character or a letter beyond A-Z; "
        "write a US ticker like AAPL, BRK.B or ABR^D",
        "tickerd: mine.txt: line 9: BRK-B is already on line 4",
    ]
    assert imported("universe", "list").out == "AAPL\nBRK-B\nMSFT\n"


def test_the_json_of_an_import_names_each_refused_row(imported: Run) -> None:
    ended = imported("universe", "import", "mine.txt", "--json")

    document = ended.json()
    assert ended.code == 1
    assert document.keys() == {"version", "added", "updated", "refused"}
    assert (document["added"], document["updated"]) == (3, 0)
    assert [row["line"] for row in document["refused"]] == [DUPLICATE, JUNK, SPACE, TWICE]
    assert all(row.keys() == {"line", "text", "reason"} for row in document["refused"])


def test_an_import_without_a_fault_exits_0_and_says_nothing_on_standard_error(imported: Run, tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("symbol,name\nAAPL,Apple of mine\nF,\n")

    ended = imported("universe", "import", "good.csv")

    assert (ended.code, ended.err) == (0, "")
    with sqlite3.connect(tmp_path / "tickerd.db") as connection:
        rows = connection.execute("SELECT ticker, company_name FROM stocks_stock ORDER BY ticker").fetchall()
    connection.close()
    assert rows[0] == ("AAPL", "Apple of mine")
    assert rows[1][0] == "F"
    assert rows[1][1].startswith("Ford Motor")


def test_an_import_keeps_the_tickers_that_are_there(imported: Run, tmp_path: Path) -> None:
    imported("universe", "import", "mine.txt")
    (tmp_path / "more.txt").write_text("ZM\n")

    assert imported("universe", "import", "more.txt").out == "1 tickers added, 0 updated, 0 rows refused\n"
    assert imported("universe", "list", "--json").json() == {
        "version": 1,
        "tickers": ["AAPL", "BRK-B", "MSFT", "ZM"],
        "missing": {},
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "holds no valid ticker"),
        (b"???\n!!!\n", "holds no valid ticker (line 1"),
        (b"name,price\nApple,3\n", "no column symbol or ticker"),
        (b"AAPL\n\xff\xfe\n", "not UTF-8 at byte 5"),
    ],
)
def test_a_file_without_a_usable_row_is_refused_whole(
    imported: Run, tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "bad.txt").write_bytes(content)

    imported("universe", "import", "bad.txt").fails(78, "bad.txt", words)
    assert imported("universe", "list").out == ""


@pytest.mark.parametrize("words", [("list",), ("list", "--json"), ("import", "mine.txt")], ids=" ".join)
def test_without_a_table_it_says_how_to_make_one_and_makes_no_file(
    here: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "mine.txt").write_text(LINES)

    here("universe", *words).fails(78, "tickerd.db: ", "; ", "tickerd db upgrade`")
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


def test_the_list_fits_a_terminal(imported: Run) -> None:
    imported("universe", "import", "mine.txt")
    assert fits_80_columns(imported("universe", "list").out)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[testing.PracticeProcess]:
    folder = tmp_path_factory.mktemp("market")
    (folder / "traded.txt").write_text("\n".join(testing.SYMBOLS))
    with testing.process(folder, "--universe", str(folder / "traded.txt")) as running:
        yield running


@pytest.fixture
def folder(market: testing.PracticeProcess, sqlite_file: Path, tmp_path: Path) -> Path:
    """A folder with an empty table, pointed at a practice market of eight tickers."""
    rate = "start_requests_per_s = 50\nmax_requests_per_s = 50"
    network = f'[network]\nproxy = "{market.proxy_url}"\nca_file = "{market.ca_file}"\n{rate}\n'
    (tmp_path / "config.toml").write_text(network + '[market]\ncalendar = "always"\n')
    return tmp_path


def test_a_look_lists_what_the_sources_name_and_says_how_many(folder: Path) -> None:
    ended = tickerd("universe", "sync", folder=folder)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "nasdaq: 8 tickers",
        "yahoo: 8 tickers",
        "8 new: AAPL, ABBV, BRK-B, F, MSFT, QQQ, SOHO, SPY",
        "0 renamed",
        "0 back",
        "0 no longer listed",
        "0 missing from every list, still followed",
    ]
    again = tickerd("universe", "sync", "--json", folder=folder).json()
    assert (again["listed"], again["sources"]) == (0, {"nasdaq": 8, "yahoo": 8})


def test_a_missing_ticker_is_shown_with_its_day(imported: Run, sqlite_file: Path) -> None:
    imported("universe", "import", "mine.txt")
    with closing(sqlite3.connect(sqlite_file)) as connection, connection:
        connection.execute("UPDATE stocks_stock SET missing_since = '2026-11-20' WHERE ticker = 'BRK-B'")
    assert imported("universe", "list").out == "AAPL\nBRK-B  missing since 2026-11-20\nMSFT\n"
    assert imported("universe", "list", "--json").json()["missing"] == {"BRK-B": "2026-11-20"}
