from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.common import show
from cli.control import _screen
from tests.fix_cli import COMMAND, TIME, Ended, Run, clean_environ, fits_80_columns, tickerd, times_in
from tests.fix_daemon import CALM, QUICK, Daemon, running_daemon, wait_until

PROCESS = set(
    [
        "name",
        "state",
        "wanted",
        "pid",
        "since",
        "reason",
        "restarts",
        "last_exit",
        "beat_age_s",
        "data_age_s",
        "survivors",
        "open_files",
        "rss_mb",
        "cpu_percent",
        "progress",
    ]
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A real orchestrator whose one process beats and does nothing else."""
    with running_daemon(tmp_path_factory.mktemp("daemon"), CALM) as started:
        started.in_state("recorder", "running")
        yield started


def ask(daemon: Daemon, *words: str) -> Ended:
    return tickerd(*words, "--config", daemon.folder / "config.toml", folder=daemon.folder)


def test_nobody_there_is_exit_3_for_each_command(here: Run) -> None:
    for words in (
        ("status",),
        ("status", "--json"),
        ("status", "--watch"),
        ("start", "prices"),
        ("stop", "prices"),
        ("restart", "prices"),
        ("reload",),
    ):
        here(*words).fails(3, ".tickerd/control.sock: no orchestrator answers; start it with `tickerd run`")


def test_status_tells_metrics_too(daemon: Daemon) -> None:
    ended = ask(daemon, "status", "--prometheus")
    families = {family.name: family for family in text_string_to_metric_families(ended.out)}
    up = {sample.labels["scanner"]: sample.value for sample in families["stocks_scanner_up"].samples}
    assert (ended.code, up["recorder"]) == (0, 1)
    assert families["stocks_control_up"].samples[0].value == 1
    assert families["stocks_log_messages"].samples


def test_the_status_document_has_the_promised_keys(daemon: Daemon) -> None:
    ended = ask(daemon, "status", "--json")

    document = ended.json()
    assert (ended.code, ended.err) == (0, "")
    top = {"version", "state", "pid", "since", "market", "processes", "coverage", "audit", "database", "alerts"}
    assert document.keys() == top
    assert document["market"].keys() == {"session", "state", "opens_at", "closes_at", "reason"}
    assert document["database"].keys() == {"url", "origin", "reachable"}
    assert all(process.keys() == PROCESS for process in document["processes"])
    assert all(TIME.fullmatch(text) for text in times_in(document))
    assert document["pid"] == daemon.popen.pid


def test_the_text_fits_80_columns(daemon: Daemon) -> None:
    ended = ask(daemon, "status")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"tickerd running, pid {daemon.popen.pid}, since 20")
    assert "market open until 20" in ended.out
    assert all(len(line.rstrip()) <= 80 for line in ended.out.splitlines() if not line.startswith("database"))


def test_a_full_house_fits_80_columns_without_a_broken_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"fresh": 8000, "unchanged": 7820, "no_trade": 1000, "unknown": 1200, "total": 8782}
    process = {
        "name": "recorder",
        "state": "stopping",
        "pid": 4_194_304,
        "reason": "market is closed until Monday 2026-11-23 09:30",
        "restarts": 1234,
        "data_age_s": 7100.0,
        "rss_mb": 1234.5,
        "cpu_percent": 100.0,
        "progress": {"stage": "metrics", "done": 8782, "total": 8782, "eta_s": 0.0},
    }
    document = {
        "state": "running",
        "pid": 4_194_304,
        "since": "2026-11-23T14:30:00.000Z",
        "market": {
            "session": "2026-11-23",
            "state": "closed",
            "opens_at": "2026-11-23T14:30:00.000Z",
            "closes_at": None,
            "reason": "after the close",
        },
        "database": {"url": "sqlite:////srv/tickerd/tickerd.db", "origin": None, "reachable": True},
        "alerts": [{"text": "upstream does not answer (prices, metrics): " + "word " * 20}],
        "processes": [process, process | {"name": "daily", "pid": None, "progress": None, "rss_mb": None}],
        "coverage": {"price": counts, "metrics": counts, "daily": counts},
        "audit": {"session": "2026-11-20", "text": "8,779 of 8,782 exact; 3 differ: A bar_close 1 (chart 2), ..."},
    }
    monkeypatch.setenv("COLUMNS", "80")
    show(_screen(document))

    text = capsys.readouterr().out
    assert fits_80_columns(text)
    assert "recorder  stopping  4194304     1,234  1,234 MB  100 %  118 min  8,782 of 8,782" in text
    assert "daily: market is closed until Monday 2026-11-23 09:30" in text
    assert "market closed (after the close), opens 2026-11-23 14:30:00 UTC" in text
    assert "database sqlite:////srv/tickerd/tickerd.db (origin not known yet)" in text
    assert "ALERT upstream does not answer" in text
    assert "audit of 2026-11-20: 8,779 of 8,782 exact; 3 differ: A bar_close 1" in text


def test_a_process_is_stopped_started_and_restarted_by_name(daemon: Daemon) -> None:
    first = daemon.process("recorder")["pid"]

    assert ask(daemon, "stop", "recorder").out == "recorder: stop accepted; `tickerd status` shows the rest\n"
    daemon.in_state("recorder", "held")
    assert ask(daemon, "status").code == 0  # it is not wanted, so nothing is amiss
    assert ask(daemon, "start", "recorder", "--json").json().keys() == {"version", "name", "state", "reason"}
    second = daemon.in_state("recorder", "running")["pid"]
    assert ask(daemon, "restart", "recorder").code == 0
    wait_until(lambda: daemon.process("recorder")["pid"] not in (None, first, second))
    daemon.in_state("recorder", "running")


def test_an_unknown_process_is_said_with_the_known_ones(daemon: Daemon) -> None:
    ask(daemon, "restart", "cook").fails(1, "restart: unknown process 'cook'; known: recorder")


def test_watch_shows_the_table_until_ctrl_c(daemon: Daemon) -> None:
    leader, terminal = pty.openpty()
    command = [str(COMMAND), "status", "--watch", "--config", str(daemon.folder / "config.toml")]
    with subprocess.Popen(
        command, env=clean_environ(TERM="xterm"), stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal
    ) as watching:
        os.close(terminal)
        seen = b""

        def shown() -> bool:
            nonlocal seen
            seen += os.read(leader, 65_536)
            return seen.count(b"recorder") >= 2

        wait_until(shown)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 0
    os.close(leader)
    assert b"Traceback" not in seen


def test_a_process_that_is_wanted_and_does_not_run_is_exit_1(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"recorder": "stub_crashes"}) as failing:
        wait_until(lambda: failing.process("recorder")["restarts"] >= 1)
        ended = ask(failing, "status", "--json")
        assert ended.code == 1
        (process,) = ended.json()["processes"]
        assert process["last_exit"].keys() == {"at", "code", "signal", "cause"}


def test_a_reload_shows_what_changed_and_what_is_left_to_do(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}) as started:
        started.in_state("prices", "running")
        assert ask(started, "reload").out == "nothing has changed\n"
        file = tmp_path / "config.toml"
        more = '[prices]\ncycle_s = 30\n[universe]\nlimit = 5\n[alerts]\ncommand = "mail me"\n'
        file.write_text(QUICK + more)
        ended = ask(started, "reload")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.splitlines() == [
            "prices.cycle_s: 60.0 -> 30.0",
            'alerts.command: "" -> "***"',
            "universe.limit: 0 -> 5",
            "restarted: prices",
            "restart tickerd to apply universe.limit",
        ]
        document = ask(started, "reload", "--json").json()
        assert document.keys() == {"version", "applied", "later", "restarted", "advice"}
        assert document["later"] == [{"key": "universe.limit", "old": 0, "new": 5}]

        pid = started.in_state("prices", "running")["pid"]
        file.write_text(QUICK + "[prices]\ncycle_s = 0\n")
        ask(started, "reload").fails(78, "config.toml: prices.cycle_s: ", "; give a number above 0")
        assert started.in_state("prices", "running")["pid"] == pid


def test_what_only_the_daemon_finds_wrong_is_said_as_if_the_command_had_found_it(tmp_path: Path) -> None:
    with running_daemon(tmp_path, CALM) as started:
        started.in_state("recorder", "running")
        (tmp_path / "config.toml").write_text(QUICK.replace("[market]\n", '[market]\noverrides_file = "absent"\n'))
        ask(started, "reload").fails(78, "tickerd: ", "absent: market.overrides_file: cannot be read")
