from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from core import config
from core.config import Loaded, all_keys
from core.errors import FixByHand
from core.settings import Database, Logging, Market, Metrics, Network, Prices, Proxies, Settings
from core.settings import State as StateSection
from daemon.crew import PROGRAMS
from daemon.reload import TOUCHES, Difference, Source, compare, reread_of, shown
from tests.fix_daemon import CALM, PATIENCE_S, QUICK, Daemon, running_daemon, wait_until

ALL = {"prices": "stub_beats", "metrics": "stub_beats", **CALM}


def test_every_section_says_whom_its_change_concerns_and_no_row_is_of_a_key_that_is_gone() -> None:
    assert set(Settings.__struct_fields__) <= TOUCHES.keys()
    assert {key for key in TOUCHES if "." in key} <= set(all_keys())
    assert {name for touch in TOUCHES.values() for name in touch.processes} <= PROGRAMS.keys()


@pytest.mark.parametrize(
    ("new", "processes"),
    [
        (Settings(prices=Prices(cycle_s=30)), {"prices"}),
        (Settings(prices=Prices(enabled=False)), set()),
        (Settings(metrics=Metrics(interval_s=60)), {"metrics"}),
        (Settings(metrics=Metrics(concurrency=2)), {"metrics", "daily"}),
        (Settings(network=Network(max_requests_per_s=9)), {"prices", "metrics", "daily", "proxies", "screener"}),
        (Settings(proxies=Proxies(wanted=9)), {"proxies", "metrics"}),
        (Settings(market=Market(close="15:00")), {"prices", "metrics", "daily", "recorder", "screener", "api"}),
        (Settings(market=Market(linger_s=5)), set()),
        (Settings(logging=Logging(level="debug")), set()),
        (Settings(), set()),
    ],
)
def test_a_change_begins_those_processes_anew_that_it_concerns(new: Settings, processes: set[str]) -> None:
    change = compare(Settings(), new)
    assert change.processes == processes
    assert change.settings == new
    assert change.document()["advice"] == ""


def test_what_needs_a_new_daemon_stays_as_it_was_and_is_told() -> None:
    new = Settings(state=StateSection(dir="/other"), database=Database(url="sqlite:///b"), prices=Prices(cycle_s=30))
    change = compare(Settings(), new)
    assert change.settings == Settings(prices=Prices(cycle_s=30))
    assert change.processes == {"prices"}
    assert (change.keys, change.later_keys) == (["prices.cycle_s"], ["state.dir", "database.url"])
    assert change.document()["advice"] == "restart tickerd to apply state.dir, database.url"


def test_the_difference_shows_no_password() -> None:
    url = Difference(key="database.url", old="sqlite:///a", new="postgresql+psycopg://me:secret@host/db")
    assert shown(url) == {"key": url.key, "old": "sqlite:///a", "new": "postgresql+psycopg://me:***@host/db"}
    command = Difference(key="alerts.command", old="", new="curl -u me:secret https://host")
    assert shown(command) == {"key": "alerts.command", "old": "", "new": "***"}
    lists = Difference(key="proxies.sources", old=["http://me:secret@host/list"], new=[])
    assert shown(lists)["old"] == ["http://me:***@host/list"]
    assert shown(Difference(key="prices.cycle_s", old=60.0, new=30.0))["new"] == 30.0


@contextmanager
def source(folder: Path, toml: str) -> Iterator[tuple[Path, Source, Settings]]:
    """A configuration file that was read, for a test to write anew."""
    file = folder / "config.toml"
    file.write_text(toml)
    loaded = config.load(str(file), {}, folder)
    yield file, Source(loaded, reread_of(loaded, {}, folder)), loaded.settings


OVERRIDES = '[[session]]\ndate = 2026-12-09\nclosed = true\nreason = "a day of mourning"\n'


def test_a_calendar_file_that_was_edited_is_a_change_although_no_key_was(tmp_path: Path) -> None:
    (tmp_path / "days.toml").write_text(OVERRIDES)
    with source(tmp_path, '[market]\noverrides_file = "days.toml"\n') as (_, read, settings):
        assert read.read_again(settings)[1].keys == []
        (tmp_path / "days.toml").write_text(OVERRIDES.replace("2026-12-09", "2026-12-10"))
        _, change = read.read_again(settings)
        assert change.document()["applied"] == [
            {
                "key": "market.overrides_file",
                "old": str(tmp_path / "days.toml"),
                "new": str(tmp_path / "days.toml"),
                "edited": True,
            }
        ]
        assert change.processes == {"prices", "metrics", "daily", "recorder", "screener", "api"}


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[prices\n", "not TOML"),
        ("[prices]\nno_such = 1\n", "prices.no_such: unknown key"),
        ('[prices]\ncycle_s = "x"\n', "prices.cycle_s"),
        ('[market]\nclose = "09:00"\n', "market.close"),
        ('[market]\noverrides_file = "absent.toml"\n', "market.overrides_file"),
        ('[network]\nca_file = "absent.pem"\n', "network.ca_file"),
        ('[api]\nsecret = "short"\n', "api.secret: has 5 bytes; give 32 random characters"),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_key(tmp_path: Path, toml: str, said: str) -> None:
    with source(tmp_path, "") as (file, read, settings):
        before = read.reading
        file.write_text(toml)
        with pytest.raises(FixByHand, match=said):
            read.read_again(settings)
        assert read.reading is before


def test_a_file_that_is_gone_or_no_longer_a_file_is_refused_at_once(tmp_path: Path) -> None:
    with source(tmp_path, "") as (file, read, settings):
        file.unlink()
        with pytest.raises(FixByHand, match="cannot be read"):
            read.read_again(settings)
        os.mkfifo(file)
        with pytest.raises(FixByHand, match="is not a file that can be read again"):
            read.read_again(settings)


@pytest.mark.parametrize(
    "setting", ['[market]\noverrides_file = "pipe"', '[market]\ncalendar = "file:pipe"', '[network]\nca_file = "pipe"']
)
def test_a_pipe_is_refused_wherever_a_file_is_named_as_to_read_it_would_wait_for_ever(
    tmp_path: Path, setting: str
) -> None:
    file = tmp_path / "config.toml"
    file.write_text("")
    loaded = config.load(str(file), {}, tmp_path)
    source = Source(loaded, reread_of(loaded, {}, tmp_path))
    os.mkfifo(tmp_path / "pipe")
    file.write_text(setting)
    with pytest.raises(FixByHand, match="is not a file that can be read again"):
        source.read_again(loaded.settings)


def test_without_a_file_the_environment_and_the_folder_are_read_again(tmp_path: Path) -> None:
    loaded = Loaded(settings=Settings(), sources={}, file=None)
    environ = {"TICKERD_PRICES__CYCLE_S": "5"}
    assert reread_of(loaded, environ, tmp_path)().settings.prices.cycle_s == 5


def pids(daemon: Daemon) -> dict[str, int]:
    return {name: daemon.in_state(name, "running")["pid"] for name in ALL}


def write(daemon: Daemon, toml: str) -> None:
    (daemon.folder / "config.toml").write_text(toml)


def test_a_reload_begins_only_those_anew_whose_settings_changed(tmp_path: Path) -> None:
    with running_daemon(tmp_path, ALL) as daemon:
        before = pids(daemon)
        write(daemon, QUICK + "[prices]\ncycle_s = 30\n")
        answer = daemon.ask("reload")
        assert answer["applied"] == [{"key": "prices.cycle_s", "old": 60.0, "new": 30.0}]
        assert (answer["restarted"], answer["advice"]) == (["prices"], "")
        wait_until(lambda: daemon.process("prices")["pid"] not in (None, before["prices"]))
        after = pids(daemon)
        assert {name for name in ALL if after[name] != before[name]} == {"prices"}
        assert daemon.process("prices")["restarts"] == 0  # it did not fail
        assert daemon.ask("reload")["applied"] == []
        assert pids(daemon) == after
        told = [each["event"] for each in daemon.events() if each["cause"] == "config"]
        assert told == ["scanner_stopping", "scanner_stopped", "scanner_started", "scanner_ready"]
        assert (
            next(each for each in daemon.events() if each["detail"] == "prices.cycle_s")["event"] == "settings_reloaded"
        )


def test_limits_and_logs_are_applied_without_a_restart(tmp_path: Path) -> None:
    with running_daemon(tmp_path, ALL) as daemon:
        before = pids(daemon)
        logging = '[logging]\nformat = "json"\ndir = "elsewhere"\n'
        write(daemon, QUICK.replace('[logging]\nformat = "text"\n', logging) + "breaker_count = 2\n")
        assert daemon.ask("reload")["restarted"] == []
        assert pids(daemon) == before
        os.kill(before["prices"], signal.SIGKILL)
        second = wait_until(lambda: daemon.in_state("prices", "running", restarts=1))["pid"]
        os.kill(second, signal.SIGKILL)
        daemon.in_state("prices", "open")  # two failures are now enough
        assert daemon.said.splitlines()[-1].startswith("{")
        wait_until(lambda: '"message":"breaker_opened"' in (tmp_path / "elsewhere" / "tickerd.jsonl").read_text())


def test_what_a_new_daemon_alone_can_apply_is_said_and_left(tmp_path: Path) -> None:
    with running_daemon(tmp_path, ALL) as daemon:
        before = pids(daemon)
        write(daemon, QUICK + '[state]\ndir = "other"\n[database]\nurl = "postgresql+psycopg://me:secret@host/db"\n')
        answer = daemon.ask("reload")
        assert answer["advice"] == "restart tickerd to apply state.dir, database.url"
        assert "secret" not in json.dumps(answer)
        assert pids(daemon) == before
        handed = msgspec.json.decode((daemon.state_dir / "settings.json").read_bytes(), type=Settings)
        assert handed.database.url == f"sqlite:///{tmp_path}/tickerd.db"
        assert daemon.ask("reload")["advice"] == answer["advice"]


def test_a_wrong_configuration_keeps_the_old_one_and_everybody_running(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as above:
        above.bind(str(tmp_path / "notify"))
        above.settimeout(PATIENCE_S)
        with running_daemon(tmp_path, ALL, environ={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as daemon:
            before, handed = pids(daemon), (daemon.state_dir / "settings.json").read_bytes()
            write(daemon, QUICK + "[prices]\ncycle_s = 30\n[metrics]\ninterval_s = -1\n")
            answer = daemon.ask("reload")
            assert "metrics.interval_s" in answer["error"]
            assert answer["exit_code"] == 78
            while not above.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC="):
                pass  # beats of before
            assert above.recv(1000) == b"READY=1"
            assert pids(daemon) == before
            assert (daemon.state_dir / "settings.json").read_bytes() == handed
            write(daemon, QUICK)
            assert daemon.ask("reload")["applied"] == []


def test_a_state_folder_without_room_keeps_the_old_configuration(tmp_path: Path) -> None:
    with running_daemon(tmp_path, ALL) as daemon:
        before = pids(daemon)
        (daemon.state_dir / "settings.json").unlink()
        (daemon.state_dir / "settings.json" / "in the way").mkdir(parents=True)
        write(daemon, QUICK + "[prices]\ncycle_s = 30\n")
        assert "settings.json" in daemon.ask("reload")["error"]
        assert pids(daemon) == before


@pytest.mark.parametrize("folder", ["a file", "not ours"])
def test_a_log_folder_that_cannot_be_written_keeps_the_old_one(tmp_path: Path, folder: str) -> None:
    (tmp_path / "a file").write_text("")
    (tmp_path / "not ours").mkdir(mode=0o500)
    bound = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")
    with running_daemon(tmp_path, ALL, before=bound if os.getuid() == 0 else ()) as daemon:
        before = pids(daemon)
        write(daemon, QUICK.replace("[logging]\n", f'[logging]\ndir = "{folder}"\n') + "[prices]\ncycle_s = 30\n")
        answer = daemon.ask("reload")
        assert answer["error"].endswith("give a folder that can be written")
        assert folder in answer["error"]
        assert pids(daemon) == before


def test_hours_edited_while_it_runs_hold_from_the_next_tick(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}) as daemon:
        daemon.in_state("prices", "running")
        today = daemon.status()["market"]["session"]
        closed = f"[[session]]\ndate = {today}\nclosed = true\n"
        (tmp_path / "days.toml").write_text(closed)
        write(daemon, QUICK.replace("[market]\n", '[market]\noverrides_file = "days.toml"\nlinger_s = 0\n'))
        daemon.ask("reload")
        assert daemon.status()["market"]["state"] == "closed"
        daemon.in_state("prices", "waiting")
        (tmp_path / "days.toml").write_text("")
        assert daemon.ask("reload")["applied"][0]["edited"] is True
        assert daemon.status()["market"]["state"] == "open"
        daemon.in_state("prices", "running")


def test_a_process_that_failed_for_its_settings_is_tried_at_once_with_the_new_ones(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_choosy", **CALM}, toml=QUICK + "[prices]\ncycle_s = 1\n") as daemon:
        daemon.in_state("prices", "open")
        write(daemon, QUICK + "[prices]\ncycle_s = 60\n")
        daemon.ask("reload")
        daemon.in_state("prices", "running")


def test_what_an_operator_stopped_stays_stopped(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}) as daemon:
        daemon.in_state("prices", "running")
        daemon.ask("stop", "prices")
        daemon.in_state("prices", "held")
        write(daemon, QUICK + "[prices]\ncycle_s = 30\n")
        assert daemon.ask("reload")["restarted"] == []
        daemon.in_state("prices", "held")
        write(daemon, QUICK + "[prices]\ncycle_s = 30\nenabled = false\n")
        daemon.ask("reload")
        daemon.in_state("prices", "disabled")
