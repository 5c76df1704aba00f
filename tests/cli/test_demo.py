from __future__ import annotations

import socket
import sqlite3
import tomllib
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.demo import CONFIG, MARK, QUIET_PORTS, _counts, _farewell, _is_full, _taken, clean_environment, free_port
from core import config
from core.files import FileLock
from storage.counts import FreshCounts
from tests.fix_cli import Run
from tests.fix_ports import port_to_come

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder but SQLite's own two, which also a connection that only reads leaves beside a database."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith(("-shm", "-wal"))}


def test_nothing_that_leads_to_a_real_database_or_host_reaches_the_demo() -> None:
    harmless = {"PATH": "/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    harmful = {
        "DATABASE_URL": "postgresql://production/x",
        "TICKERD_DATABASE__URL": "postgresql+psycopg://production/x",
        "TICKERD_CONFIG": "/etc/tickerd.toml",
        "TICKERD_SETTINGS": "/x.json",
        "TICKERD_NETWORK__PROXY": "http://proxy:3128",
        "PORT": "80",
        "SCANNER_PORT": "80",
        "HTTPS_PROXY": "http://proxy:3128",
        "https_proxy": "http://proxy:3128",
        "Http_Proxy": "http://proxy:3128",
        "all_proxy": "socks5://proxy",
        "NO_PROXY": "*",
    }
    assert clean_environment(harmless | harmful) == harmless


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_folder_with_live_data_is_refused_and_not_touched(
    here: Run, sqlite_file: Path, tmp_path: Path, as_json: tuple[str, ...]
) -> None:
    with closing(sqlite3.connect(sqlite_file)) as connection:
        connection.execute("INSERT INTO app_meta (key, value) VALUES ('origin', 'live')")
        connection.commit()
    before = contents(tmp_path)

    words = ("tickerd.db: origin: holds live data; give the demo a folder of its own with --folder",)
    here("demo", "--folder", ".", "--seconds", "1", *as_json).fails(78, *words)

    assert contents(tmp_path) == before


def test_a_configuration_of_your_own_is_never_overwritten(here: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[prices]\ncycle_s = 30\n")
    before = contents(tmp_path)

    here("demo", "--folder", ".", "--seconds", "1").fails(78, "config.toml: was not written by a demo; give the demo")

    assert contents(tmp_path) == before


def test_another_applications_database_is_refused_and_not_touched(here: Run, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "tickerd.db")) as connection:
        connection.execute("CREATE TABLE photos (id INTEGER)")
    before = contents(tmp_path)

    here("demo", "--folder", ".").fails(78, "holds tables of another application")

    assert contents(tmp_path) == before


def test_a_second_demo_in_the_same_folder_waits_its_turn(here: Run, tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "demo.lock")
    assert lock.try_acquire()
    lock.write_owner("4242")

    here("demo", "--folder", ".").fails(75, "demo.lock: a demo already runs with pid 4242; stop that one first")
    lock.release()


def test_a_folder_that_cannot_be_made_is_said(here: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    here("demo", "--folder", "file/demo").fails(78, "file/demo: cannot be made")


def test_its_own_configuration_is_right_and_never_leads_to_a_real_host(tmp_path: Path) -> None:
    text = CONFIG.format(mark=MARK, proxy="http://127.0.0.1:1", ca_file="ca.pem", universe="u.txt", port=8123)
    (tmp_path / "config.toml").write_text(text)

    settings = config.load("config.toml", {}, tmp_path).settings

    assert text.startswith(MARK)
    assert settings.network.proxy == "http://127.0.0.1:1"
    # Whatever a list of the practice market names, nothing but this machine is ever contacted as a proxy.
    assert settings.proxies.own_networks == ["127.0.0.0/8"]
    assert settings.database.url == f"sqlite:///{tmp_path}/tickerd.db"
    assert (settings.api.host, settings.api.port) == ("127.0.0.1", 8123)


def test_its_dashboard_takes_the_usual_port_or_another_if_that_one_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port(port) in QUIET_PORTS
    port = port_to_come()
    assert free_port(port) == port


def test_of_your_own_configuration_it_takes_what_cannot_lead_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKERD_PRICES__CANARY", "ETH-USD")
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(
        '[prices]\ncycle_s = 30\naudit = false\n[daily]\nat = "17:00"\n[supervisor]\nstop_timeout_s = 3\n'
        '[database]\nurl = "postgresql+psycopg://production/x"\n[network]\nproxy = "http://proxy:1"\n'
    )

    assert tomllib.loads(_taken("mine.toml")) == {
        "prices": {"cycle_s": 30.0, "audit": False},
        "daily": {"at": "17:00"},
        "supervisor": {"stop_timeout_s": 3.0},
    }
    assert _taken(None) == ""


def test_a_configuration_that_is_wrong_stops_it_before_anything_is_made(here: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[prices]\nenabeld = true\n")

    here("demo", "--config", "mine.toml").fails(78, "prices.enabeld: unknown key")
    assert [file.name for file in tmp_path.iterdir()] == ["mine.toml"]


@pytest.mark.parametrize(
    ("total", "priced", "with_metrics", "full"),
    [(0, 0, 0, False), (1000, 990, 950, True), (1000, 989, 1000, False), (1000, 1000, 949, False)],
)
def test_the_table_is_full_with_99_percent_of_prices_and_95_of_metrics(
    total: int, priced: int, with_metrics: int, full: bool
) -> None:
    assert _is_full(FreshCounts(total=total, priced=priced, with_metrics=with_metrics)) is full


def test_while_there_is_no_table_yet_nothing_is_counted(tmp_path: Path) -> None:
    assert _counts(tmp_path, NOW) is None
    (tmp_path / "tickerd.db").touch()
    assert _counts(tmp_path, NOW) is None


def test_rows_are_counted_as_soon_as_there_is_a_table(sqlite_file: Path, tmp_path: Path) -> None:
    assert _counts(tmp_path, NOW) == FreshCounts(total=0, priced=0, with_metrics=0)


def test_the_commands_that_it_recommends_survive_a_space_in_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "status --watch --config 'my demo/config.toml'" in _farewell(tmp_path / "my demo", 8000)
