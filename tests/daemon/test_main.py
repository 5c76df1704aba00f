from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
from pathlib import Path

import pytest

from core.config import Loaded
from core.errors import FixByHand
from core.settings import Logging, Settings, State
from daemon.main import run
from tests.fix_daemon import CALM, QUICK, Daemon, command, running_daemon, stub_environ, wait_until


def test_a_second_daemon_ends_with_75_and_names_the_first(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        daemon.status()
        second = subprocess.run(
            command(tmp_path, CALM, "stub_done"), cwd=tmp_path, env=stub_environ(), capture_output=True, text=True
        )
        assert second.returncode == 75
        assert second.stderr.count("\n") == 1
        assert f"an orchestrator already runs with pid {daemon.popen.pid}; stop that one first" in second.stderr
        daemon.in_state("recorder", "running")


def test_the_terminal_shows_the_banner_and_the_starts(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}) as daemon:
        pid = daemon.in_state("prices", "running")["pid"]
        daemon.end()
    lines = daemon.said.splitlines()
    assert lines[:3] == ["=" * 80, "STOCK SCANNER ORCHESTRATOR", "=" * 80]
    assert "[MARKET] Market is OPEN - Starting scanners..." in lines
    assert f"[START] 1-minute scanner started (PID: {pid})" in lines
    assert lines[-1] == "[STOP] Orchestrator stopped"


def test_the_log_file_holds_the_events_as_json(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        daemon.in_state("recorder", "running")
        daemon.end()
    text = (tmp_path / "logs" / "tickerd.jsonl").read_text()
    assert '"message":"orchestrator_started"' in text
    assert '"message":"scanner_started"' in text


def test_under_nohup_a_closed_terminal_changes_nothing(tmp_path: Path) -> None:
    with running_daemon(tmp_path, before=("sh", "-c", "trap '' HUP; exec \"$@\"", "sh")) as daemon:
        daemon.in_state("recorder", "running")
        daemon.popen.send_signal(signal.SIGHUP)
        assert daemon.ask("restart", "recorder")["state"] == "stopping"
        daemon.in_state("recorder", "running")
        assert "settings_reloaded" not in daemon.said
        assert daemon.end() == 0


def test_without_nohup_a_hang_up_reads_the_configuration_again(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as daemon:
        pid = daemon.in_state("recorder", "running")["pid"]
        (tmp_path / "config.toml").write_text(QUICK + "backoff_max_s = 7\n")
        daemon.popen.send_signal(signal.SIGHUP)
        wait_until(lambda: "settings_reloaded keys=['supervisor.backoff_max_s']" in daemon.said)
        (tmp_path / "config.toml").write_text("[prices]\nno_such_key = 1\n")
        daemon.popen.send_signal(signal.SIGHUP)
        wait_until(lambda: "reload_refused" in daemon.said)
        assert daemon.in_state("recorder", "running")["pid"] == pid
        assert daemon.end() == 0


def test_the_hang_up_of_a_terminal_that_is_gone_stops_everything_politely(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(QUICK)
    leader, terminal = pty.openpty()
    popen = subprocess.Popen(
        command(tmp_path, CALM, "stub_done"),
        cwd=tmp_path,
        env=stub_environ(),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    try:
        Daemon(popen=popen, folder=tmp_path).in_state("recorder", "running")
        os.close(leader)
        popen.send_signal(signal.SIGHUP)
        assert popen.wait(60) == 0
    finally:
        popen.kill()


def test_a_broken_pipe_does_not_stop_the_daemon(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(QUICK)
    reader, writer = os.pipe()
    popen = subprocess.Popen(
        command(tmp_path, CALM, "stub_done"), cwd=tmp_path, env=stub_environ(), stdout=writer, stderr=writer
    )
    os.close(writer)
    os.close(reader)
    log = tmp_path / "logs" / "tickerd.jsonl"
    try:
        wait_until(lambda: log.exists() and "scanner_ready" in log.read_text())
        popen.terminate()
        assert popen.wait(60) == 0
    finally:
        popen.kill()


def test_a_state_folder_that_cannot_be_locked_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    settings = Settings(state=State(dir=str(tmp_path)), logging=Logging(dir=str(tmp_path)))
    with pytest.raises(FixByHand, match="cannot be locked"):
        run(Loaded(settings=settings, sources={}, file=None), environ={})


def test_a_reader_who_does_not_read_freezes_neither_status_nor_the_end(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(QUICK)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * 4096)
    popen = subprocess.Popen(
        command(tmp_path, CALM, "stub_done"), cwd=tmp_path, env=stub_environ(), stdout=writer, stderr=writer
    )
    daemon = Daemon(popen=popen, folder=tmp_path)
    log = tmp_path / "logs" / "tickerd.jsonl"
    try:
        wait_until(lambda: log.exists() and "scanner_ready" in log.read_text())
        assert daemon.ask("status")["state"] == "running"
        assert daemon.end() == 0
    finally:
        popen.kill()
        os.close(reader)
        os.close(writer)


def test_a_daemon_without_standard_output_ends_without_a_traceback(tmp_path: Path) -> None:
    with running_daemon(tmp_path, before=("sh", "-c", 'exec "$@" >&-', "sh")) as daemon:
        daemon.in_state("recorder", "running")
        assert daemon.end() == 0
    assert "Traceback" not in daemon.said


def test_a_lock_file_with_the_pid_of_a_stranger_stops_no_start(tmp_path: Path) -> None:
    """The kernel's lock decides, not a number that another process may have by now."""
    (tmp_path / ".tickerd").mkdir()
    (tmp_path / ".tickerd" / "lock").write_text(str(os.getpid()))
    (tmp_path / ".tickerd" / "control.sock").write_text("no socket")
    with running_daemon(tmp_path) as daemon:
        daemon.in_state("recorder", "running")
        assert (tmp_path / ".tickerd" / "lock").read_text() == str(daemon.popen.pid)
