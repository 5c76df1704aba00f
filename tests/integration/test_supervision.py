"""The fault plan of docs/supervision.md: the real orchestrator, real processes, real signals; times are scaled."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from daemon.descendants import children, is_zombie
from tests.fix_daemon import CALM, QUICK, ROOT, Daemon, is_alive, running_daemon, wait_until

LIMITLESS = QUICK + "breaker_count = 1000\nbackoff_max_s = 0.05\n"


def events_of(daemon: Daemon, name: str) -> list[dict[str, Any]]:
    return [each for each in daemon.events() if each["process"] == name]


def left_by(folder: Path) -> list[int]:
    wait_until((folder / "left").exists)
    return [int(pid) for pid in (folder / "left").read_text().split()]


def test_a_killed_orchestrator_leaves_no_child_alive(tmp_path: Path) -> None:
    names = {"prices": "stub_deaf", "metrics": "stub_deaf", **CALM}
    with running_daemon(tmp_path, names) as daemon:
        pids = [daemon.in_state(name, "running")["pid"] for name in names]
        daemon.popen.kill()
        wait_until(lambda: not any(map(is_alive, pids)))


def test_a_copy_that_outlived_its_orchestrator_is_ended_before_its_successor_is_started(tmp_path: Path) -> None:
    toml = QUICK.replace("stop_timeout_s = 2", "stop_timeout_s = 0.3")
    with running_daemon(tmp_path, {"prices": "stub_survives", **CALM}, toml=toml) as daemon:
        old = daemon.in_state("prices", "running")["pid"]
        daemon.popen.kill()
        daemon.popen.wait()
    assert is_alive(old)
    with running_daemon(tmp_path, {"prices": "stub_survives", **CALM}, toml=toml) as daemon:
        new = copies_until_running(daemon, old)
        assert new != old
        assert "leftovers_found" in (tmp_path / "logs" / "tickerd.jsonl").read_text()


def copies_until_running(daemon: Daemon, old: int) -> int:
    """The new copy's pid; at no look the old one was alive beside it."""

    def look() -> int:
        new = daemon.process("prices")["pid"]
        assert not (new and is_alive(old)), "two copies"
        return int(new or 0)

    return int(wait_until(look))


def test_what_the_children_of_a_killed_orchestrator_left_is_ended_by_the_next_one(tmp_path: Path) -> None:
    toml = QUICK.replace("stop_timeout_s = 2", "stop_timeout_s = 0.3")
    with running_daemon(tmp_path, {"prices": "stub_leaves", **CALM}, toml=toml) as daemon:
        daemon.in_state("prices", "running")
        left = left_by(tmp_path)
        daemon.popen.kill()
        daemon.popen.wait()
    with running_daemon(tmp_path, CALM, toml=toml) as daemon:
        daemon.in_state("recorder", "running")
        assert not any(map(is_alive, left))


def test_a_stopped_child_is_replaced_when_its_limit_is_over(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_beats"}, toml=QUICK + "heartbeat_timeout_s = 2\n") as daemon:
        os.kill(daemon.in_state("prices", "running")["pid"], signal.SIGSTOP)
        wait_until(lambda: daemon.process("prices")["restarts"])
        hung = [each for each in events_of(daemon, "prices") if each["event"] in ("scanner_hung", "scanner_failed")]
        assert [(each["cause"], each["signal"]) for each in hung[:2]] == [
            ("no_beat", None),
            ("no_beat", signal.SIGABRT),
        ]
        assert hung[0]["detail"] == "no beat for 2 s"
        assert "Current thread" in (tmp_path / "logs" / "prices.jsonl").read_text()


def test_a_thread_that_beats_on_does_not_hide_a_stuck_main_thread(tmp_path: Path) -> None:
    toml = QUICK + "[prices]\nstall_timeout_s = 0.05\n"
    with running_daemon(tmp_path, {"prices": "stub_stale", **CALM}, toml=toml) as daemon:
        first = daemon.in_state("prices", "running")["pid"]
        wait_until(lambda: daemon.process("prices")["restarts"])
        assert not is_alive(first)
        hung = next(each for each in events_of(daemon, "prices") if each["event"] == "scanner_hung")
        assert hung["cause"] == "stall"
        assert hung["detail"].startswith("no data for ")


def test_a_fork_bomb_is_ended_to_its_last_process_and_the_orchestrator_goes_on(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_breeds", **CALM}, toml=LIMITLESS) as daemon:
        pid = daemon.in_state("prices", "running")["pid"]
        bred = [int(line) for line in (tmp_path / "bred").read_text().split()]
        assert len(bred) >= 60
        (tmp_path / "bred").unlink()
        daemon.ask("stop", "prices")
        daemon.in_state("prices", "held")
        assert not is_alive(pid)
        wait_until(lambda: not any(map(is_alive, bred)))
        daemon.in_state("recorder", "running", restarts=0)


def test_no_orphan_of_a_child_stays_a_zombie_and_none_survives_it(tmp_path: Path) -> None:
    """The orchestrator is given the orphans of its descendants, also those in sessions of their own."""
    with running_daemon(tmp_path, {"prices": "stub_leaves", **CALM}, toml=LIMITLESS) as daemon:
        pid = daemon.in_state("prices", "running")["pid"]
        left = left_by(tmp_path)
        assert left[2] in children(daemon.popen.pid)  # forked twice: its parent has ended
        (tmp_path / "left").unlink()
        os.kill(pid, signal.SIGKILL)
        daemon.in_state("prices", "running", restarts=1)
        wait_until(lambda: not any(map(is_alive, left)))
        wait_until(lambda: not any(map(is_zombie, children(daemon.popen.pid))))
        assert (tmp_path / "logs" / "tickerd.jsonl").read_text().count('"survivors_ended"') == 1


def test_an_exit_is_seen_although_others_hold_the_output_open(tmp_path: Path) -> None:
    """Those are there for a minute and a half: who waits for the end of the output sees none in time."""
    with running_daemon(tmp_path, {"prices": "stub_leaves"}, toml=LIMITLESS) as daemon:
        os.kill(daemon.in_state("prices", "running")["pid"], signal.SIGKILL)
        daemon.in_state("prices", "running", restarts=1)


def test_a_slow_start_is_waited_for_while_it_beats(tmp_path: Path) -> None:
    toml = LIMITLESS + "ready_timeout_s = 2\n"
    with running_daemon(tmp_path, {"prices": "stub_slow", **CALM}, toml=toml) as daemon:
        daemon.in_state("prices", "running")


def test_a_wrong_configuration_is_no_hot_loop_and_one_alert(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_wrong_settings", **CALM}) as daemon:
        daemon.in_state("prices", "open")
        daemon.in_state("recorder", "running")
        (alert,) = daemon.status()["alerts"]
        assert (alert["alert"], alert["process"]) == ("breaker_open", "prices")
        told = [each["event"] for each in events_of(daemon, "prices")]
        assert told == ["scanner_started", "breaker_opened"]


def test_an_open_breaker_tries_on_until_what_was_missing_is_back(tmp_path: Path) -> None:
    toml = QUICK + "breaker_count = 3\nbackoff_max_s = 0.3\n"
    environ = {"STUB_FAILURES": "6"}
    with running_daemon(tmp_path, {"prices": "stub_heals", **CALM}, toml=toml, environ=environ) as daemon:
        assert daemon.in_state("prices", "running")["restarts"] == 6
        told = [each["event"] for each in events_of(daemon, "prices")]
        assert told.count("breaker_opened") == 1
        opened, ready = (told.index(event) for event in ("breaker_opened", "scanner_ready"))
        assert told[opened:ready] == [
            "breaker_opened",
            *["scanner_restarted", "scanner_failed"] * 3,
            "scanner_restarted",
        ]


@contextmanager
def limited(pid: int, kind: str, soft: int, *, by: tuple[str, ...] = ()) -> Iterator[None]:
    """Take from a running process what it may have; `by`: who is allowed to."""

    def ask(*arguments: str) -> str:
        command = [*by, "prlimit", f"--pid={pid}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    before = ask(f"--{kind}", "--output=SOFT", "--noheadings").strip()
    ask(f"--{kind}={soft}:")
    try:
        yield
    finally:
        ask(f"--{kind}={before}:")


def test_without_descriptors_a_start_waits_and_the_control_socket_answers(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}, toml=LIMITLESS) as daemon:
        pid = daemon.in_state("prices", "running")["pid"]
        highest = max(map(int, os.listdir(f"/proc/{daemon.popen.pid}/fd")))
        with limited(daemon.popen.pid, "nofile", highest + 4):
            os.kill(pid, signal.SIGKILL)
            reason = daemon.in_state("prices", "backoff")["reason"]
            assert "Too many open files" in reason
        daemon.in_state("prices", "running")


def test_without_processes_a_start_waits_and_goes_on_when_there_are_some_again(tmp_path: Path) -> None:
    """The superuser is not limited, so it runs the orchestrator as somebody else."""
    with own_folder() as folder, running_daemon(folder, CALM, toml=LIMITLESS, before=as_somebody(folder)) as daemon:
        somebody = as_somebody(folder)
        pid = daemon.in_state("recorder", "running")["pid"]
        with limited(daemon.popen.pid, "nproc", 1, by=somebody):
            os.kill(pid, signal.SIGKILL)
            reason = daemon.in_state("recorder", "backoff")["reason"]
            assert "Resource temporarily unavailable" in reason
        daemon.in_state("recorder", "running")


SOMEBODY = 54321
READS = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")  # where python is the superuser's


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder that another user can reach: pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp())
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def as_somebody(folder: Path) -> tuple[str, ...]:
    if os.geteuid() != 0:
        return ()
    os.chown(folder, SOMEBODY, SOMEBODY)
    return ("setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups", *READS)


def test_a_stale_lock_file_with_a_live_foreign_pid_keeps_nobody_out(tmp_path: Path) -> None:
    state = tmp_path / ".tickerd"
    state.mkdir()
    (state / "lock").write_text("1")
    with running_daemon(tmp_path) as daemon:
        daemon.in_state("recorder", "running")


def test_a_storm_of_signals_is_one_ladder_and_the_children_have_their_time(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_flushes", **CALM}) as daemon:
        daemon.in_state("prices", "running")
        for number in [signal.SIGTERM] * 20 + [signal.SIGHUP] * 5 + [signal.SIGTERM] * 5:
            with suppress(ProcessLookupError):
                daemon.popen.send_signal(number)
        assert daemon.popen.wait(60) == 0
        assert (tmp_path / "flushed").exists()
        told = [each["event"] for each in events_of(daemon, "prices")]
        assert told == ["scanner_started", "scanner_ready", "scanner_stopping", "scanner_stopped"]
        assert [each["event"] for each in events_of(daemon, "tickerd")].count("orchestrator_stopping") == 1


NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def test_as_the_first_process_of_a_container_it_hears_signals_and_leaves_no_zombie(tmp_path: Path) -> None:
    before = NAMESPACE if os.geteuid() == 0 else (*NAMESPACE, "--map-root-user")
    if subprocess.run([*before, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no PID namespace can be made")
    with running_daemon(tmp_path, {"prices": "stub_leaves", **CALM}, toml=LIMITLESS, before=before) as daemon:
        assert daemon.status()["pid"] == 1
        first = children(daemon.popen.pid)[0]
        prices = daemon.in_state("prices", "running")["pid"]
        assert prices < 100
        (tmp_path / "left").unlink()
        daemon.ask("restart", "prices")
        wait_until(lambda: daemon.process("prices")["pid"] not in (None, prices))
        daemon.in_state("prices", "running")
        wait_until(lambda: not any(map(is_zombie, children(first))))
        os.kill(first, signal.SIGTERM)
        assert daemon.popen.wait(60) == 0


@contextmanager
def memory_group(limit_mb: int) -> Iterator[Path]:
    """A control group of the kernel's with a limit of memory; skips where none can be made."""
    one, two = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    group, limit = (
        (one / "tickerd-test", "memory.limit_in_bytes") if one.is_dir() else (two / "tickerd-test", "memory.max")
    )
    group = group.with_name(f"{group.name}-{os.getpid()}")
    try:
        group.mkdir()
        (group / limit).write_text(str(limit_mb * 1_000_000))
    except OSError:
        pytest.skip("no memory control group can be made")
    try:
        yield group
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def test_a_child_that_the_kernel_ends_for_memory_is_called_oom_and_the_orchestrator_lives(tmp_path: Path) -> None:
    """It is offered to the kernel before the orchestrator is."""
    with memory_group(120) as group:
        inside = ("sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh")
        with running_daemon(tmp_path, {"prices": "stub_eats", **CALM}, toml=LIMITLESS, before=inside) as daemon:
            daemon.in_state("recorder", "running")
            wait_until(lambda: any(each["cause"] == "oom" for each in events_of(daemon, "prices")))
            daemon.ask("stop", "prices")
            daemon.in_state("recorder", "running", restarts=0)
            assert daemon.end() == 0


def test_every_test_that_the_fault_plan_names_exists() -> None:
    plan = (ROOT / "docs" / "supervision.md").read_text()
    rows = re.findall(r"^\| (\d+) \|.*\| (.*) \|$", plan, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 31))
    files = {"S": Path(__file__), "T": Path(__file__).with_name("test_time.py")}
    for number, cell in rows:
        for file, names in re.findall(r"(\bS|\bT|tests/[\w/]+\.py)((?:[ ,]*`test_\w+`)*)", cell):
            text = files.get(file, ROOT / file).read_text()
            for name in re.findall(r"`(test_\w+)`", names):
                assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), (number, name)


IGNORES = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
BLOCKS = "import os, signal, sys; signal.pthread_sigmask(0, {15}); os.execv(sys.argv[1], sys.argv[1:])"


def test_started_by_one_that_ignores_its_children_it_still_learns_how_its_own_end(tmp_path: Path) -> None:
    """SIG_IGN is inherited: without its exit code a refresh that crashed would count as done."""
    toml = LIMITLESS + '[daily]\nat = "00:00"\n'
    before = (sys.executable, "-c", IGNORES)
    with running_daemon(tmp_path, {"daily": "stub_crashes", **CALM}, toml=toml, before=before) as daemon:
        daemon.in_state("recorder", "running")
        failed = wait_until(lambda: [each for each in events_of(daemon, "daily") if each["exit_code"] is not None])
        assert (failed[0]["event"], failed[0]["exit_code"]) == ("scanner_failed", 1)
        assert daemon.end() == 0


def test_started_by_one_that_blocks_signals_it_still_hears_them(tmp_path: Path) -> None:
    with running_daemon(tmp_path, CALM, before=(sys.executable, "-c", BLOCKS)) as daemon:
        daemon.in_state("recorder", "running")
        assert daemon.end() == 0


def test_a_state_folder_that_was_removed_is_made_anew_and_keeps_a_second_one_out(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}) as daemon:
        pid = daemon.in_state("prices", "running")["pid"]
        daemon.in_state("recorder", "running")
        shutil.rmtree(daemon.state_dir)
        wait_until((daemon.state_dir / "control.sock").exists)
        (tmp_path / "second").mkdir()
        second = f'{QUICK}[state]\ndir = "{daemon.state_dir}"\n'
        with running_daemon(tmp_path / "second", CALM, toml=second) as other:
            assert other.popen.wait(60) == 75
        os.kill(pid, signal.SIGKILL)
        daemon.in_state("prices", "running", restarts=1)
        assert daemon.end() == 0
    assert "state_folder_mended" in (tmp_path / "logs" / "tickerd.jsonl").read_text()


def test_of_two_in_a_state_folder_that_was_removed_the_one_without_the_lock_leaves(tmp_path: Path) -> None:
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}) as first:
        old = first.in_state("prices", "running")["pid"]
        os.kill(first.popen.pid, signal.SIGSTOP)
        shutil.rmtree(first.state_dir)
        with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}) as second:
            new = second.in_state("prices", "running")["pid"]
            os.kill(first.popen.pid, signal.SIGCONT)
            assert first.popen.wait(60) == 75
            assert not is_alive(old)
            assert second.process("prices")["pid"] == new
            assert second.end() == 0


def test_a_stop_that_a_new_session_has_ended_is_not_found_again_at_the_next_start(tmp_path: Path) -> None:
    state = tmp_path / ".tickerd"
    state.mkdir(mode=0o700)
    (state / "holds.json").write_text('{"prices": "2016-11-22"}')
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}) as daemon:
        daemon.in_state("prices", "running")
        daemon.end()
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}, toml=f'{QUICK}manual_stop = "forever"\n') as daemon:
        daemon.in_state("prices", "running")


def test_a_command_for_an_alert_does_not_outlive_a_killed_orchestrator(tmp_path: Path) -> None:
    toml = f'{QUICK}breaker_count = 1\n[alerts]\ncommand = "echo $$ > told.new; mv told.new told; sleep 60"\n'
    with running_daemon(tmp_path, {"prices": "stub_crashes", **CALM}, toml=toml) as daemon:
        wait_until((tmp_path / "told").exists)
        pid = int((tmp_path / "told").read_text())
        daemon.popen.kill()
        wait_until(lambda: not is_alive(pid))
