import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from simulator import testing
from storage.engine import open_reader_engine
from storage.proxies import read_proxies, read_sources
from storage.reader import read_origin
from tests.fix_cli import Run, fits_80_columns

RAW = "https://raw.githubusercontent.com"
LISTS = (
    f"{RAW}/monosans/proxy-list/main/proxies.json",
    f"{RAW}/TheSpeedX/PROXY-List/master/http.txt",
    "https://free-proxy-list.net/",
)


def configure(folder: Path, more: str, sources: tuple[str, ...] = LISTS) -> None:
    texts = ", ".join(f'"{text}"' for text in sources)
    (folder / "config.toml").write_text(f'[proxies]\nown_networks = ["127.0.0.0/8"]\nsources = [{texts}]\n{more}')


@pytest.fixture
def market(tmp_path: Path) -> Iterator[testing.PracticeProcess]:
    universe = tmp_path / "universe.txt"
    universe.write_text("AAPL\nMSFT\n")
    with testing.process(tmp_path, "--universe", str(universe), "--fleet", "good=2,good/socks5=1") as running:
        configure(tmp_path, f'[network]\nproxy = "{running.proxy_url}"\nca_file = "{running.ca_file}"\n')
        yield running


def test_a_harvest_is_told_list_by_list_and_reaches_the_pool(
    here: Run, market: testing.PracticeProcess, sqlite_file: Path
) -> None:
    shown = here("proxies", "harvest")
    assert (shown.code, shown.err) == (0, "")
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert lines[:4] == [
        "list named refused taken new here is",
        "monosans/../proxies.json 33 30 3 3 json",
        "TheSpeedX/../http.txt 17 14 3 1 text",
        "free-proxy-list.net 12 10 2 0 html",
    ]
    assert "refused: 51 reserved address, 2 no such thing at all, 2 private address, 1 no port" in " ".join(lines)
    assert lines[-2].startswith("4 candidates in ")
    assert lines[-2].endswith(" s: 4 new, 0 to be tried again, 0 known.")
    assert fits_80_columns(shown.out)

    engine = open_reader_engine(f"sqlite:///{sqlite_file}", service="test")
    fleet = {each.address for each in market.proxies()}
    assert {row.address for row in read_proxies(engine)} == fleet | {"127.0.0.7:80"}
    assert {row.url: (row.entries, row.candidates, row.fresh) for row in read_sources(engine)} == {
        LISTS[0]: (33, 3, 3),
        LISTS[1]: (17, 3, 1),
        LISTS[2]: (12, 2, 0),
    }
    assert read_origin(engine) == "practice"
    engine.dispose()


def test_as_json_it_is_one_document_with_the_yield_of_each_list(
    here: Run, market: testing.PracticeProcess, sqlite_file: Path
) -> None:
    market.fault("html", host="free-proxy-list.net")
    document = here("proxies", "harvest", "--json").json()
    assert (document["candidates"], document["new"], document["again"], document["known"]) == (4, 4, 0, 0)
    first, _, last = document["sources"]
    assert (first["url"], first["outcome"], first["shape"]) == (LISTS[0], "ok", "json")
    assert (first["entries"], first["candidates"], first["fresh"]) == (33, 3, 3)
    assert first["refused"] == {"reserved": 30}
    assert (last["outcome"], last["error"], last["candidates"]) == ("failed", "holds no address (html)", 0)


def test_a_list_that_fails_is_named_and_the_others_count(
    here: Run, market: testing.PracticeProcess, sqlite_file: Path
) -> None:
    market.fault("server_error", host="free-proxy-list.net")
    shown = here("proxies", "harvest")
    assert shown.code == 0
    assert "failed: free-proxy-list.net: status 503\n" in shown.out
    assert "4 candidates in" in shown.out


def test_when_no_list_can_be_had_it_is_said_and_the_pool_stays(
    here: Run, market: testing.PracticeProcess, sqlite_file: Path
) -> None:
    market.fault("server_error", host="*")
    here("proxies", "harvest").fails(
        69,
        f"{LISTS[0]}: no list of 3 could be had: status 503; look at [network] proxy",
        "nothing in the pool has changed",
    )


def test_without_lists_it_says_what_to_do(here: Run, tmp_path: Path, sqlite_file: Path) -> None:
    configure(tmp_path, "", sources=())
    here("proxies", "harvest").fails(
        78, "config.toml: proxies.sources: no lists to harvest; name some there, or your own"
    )


def test_without_a_table_it_says_what_to_do(here: Run, tmp_path: Path) -> None:
    configure(tmp_path, "")
    here("proxies", "harvest").fails(78, "tickerd.db", "tickerd db upgrade")


def test_practice_and_live_pools_never_meet(here: Run, market: testing.PracticeProcess, sqlite_file: Path) -> None:
    with closing(sqlite3.connect(sqlite_file)) as connection, connection:
        connection.execute("INSERT INTO app_meta (key, value) VALUES ('origin', 'live')")
    here("proxies", "harvest").fails(78, "holds live data and these are practice data")
