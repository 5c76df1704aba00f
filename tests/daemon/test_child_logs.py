from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.settings import Logging
from daemon import child_logs
from daemon.child_logs import ChildLog
from daemon.launch import Launch
from daemon.system import Process
from tests.fix_clock import FakeClock
from tests.fix_daemon import CALM, QUICK, STUBS, running_daemon, wait_until


def test_bytes_are_written_as_they_came(tmp_path: Path) -> None:
    log = ChildLog(tmp_path, "prices", max_mb=1, keep=3)
    log.write(b'{"message":"x"}\n\xff not a tex')
    log.write(b"t\n")
    assert (tmp_path / "prices.jsonl").read_bytes() == b'{"message":"x"}\n\xff not a text\n'
    log.close()


def test_the_last_line_is_kept_also_when_it_came_in_parts(tmp_path: Path) -> None:
    log = ChildLog(tmp_path, "prices", max_mb=1, keep=3)
    log.write(b"first\nsec")
    log.write(b"ond\n\n")
    assert log.last_line == "second"
    log.forget_tail()
    assert log.last_line == ""
    log.write(b"x" * 100_000)
    assert len(log.last_line) == 2000
    log.close()


def test_a_log_that_is_full_moves_on_and_keeps_so_many_parts(tmp_path: Path) -> None:
    log = ChildLog(tmp_path, "prices", max_mb=0.00001, keep=2)
    for text in (b"aaaaaaaa\n", b"bbbbbbbb\n", b"cccccccc\n", b"dddddddd\n"):
        log.write(text)
    log.close()
    names = {path.name: path.read_bytes()[:1] for path in tmp_path.iterdir()}
    assert names == {"prices.jsonl": b"d", "prices.jsonl.1": b"c", "prices.jsonl.2": b"b"}


def test_a_log_from_an_earlier_run_is_continued(tmp_path: Path) -> None:
    (tmp_path / "prices.jsonl").write_bytes(b"old\n")
    log = ChildLog(tmp_path, "prices", max_mb=1, keep=2)
    log.write_line(b"new")
    log.close()
    assert (tmp_path / "prices.jsonl").read_bytes() == b"old\nnew\n"


def test_a_disk_that_refuses_is_counted_and_the_log_goes_on_afterwards(tmp_path: Path) -> None:
    os.symlink("/dev/full", tmp_path / "prices.jsonl")
    log = ChildLog(tmp_path, "prices", max_mb=1, keep=2)
    log.write(b"lost\n")
    log.write(b"lost as well\n")
    assert (log.dropped, log.last_line) == (2, "lost as well")
    log.close()
    (tmp_path / "prices.jsonl").unlink()
    log.write(b"kept\n")
    log.close()
    assert (tmp_path / "prices.jsonl").read_bytes() == b"kept\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"log.level":"info","message":"cycle_finished"}', ""),
        (b'{"log.level":"warning","message":"batch_failed","error":"no answer"}', "batch_failed: no answer"),
        (
            b'{"log.level":"error","message":"process_crashed","exception":"Trace\\n  at\\nOSError: full"}',
            "process_crashed: OSError: full",
        ),
        (b'{"log.level":"error","message":"plan_failed"}', "plan_failed"),
        (b"tickerd: prices.canary: wrong; give another", "tickerd: prices.canary: wrong; give another"),
        (b"[1, 2]", "[1, 2]"),
    ],
)
def test_the_exit_report_says_what_a_child_complained_of_in_words(tmp_path: Path, line: bytes, said: str) -> None:
    log = ChildLog(tmp_path, "prices", max_mb=1.0, keep=1)
    log.write_line(line)
    log.close()
    assert log.last_line == said


def test_a_line_is_never_divided_between_two_files(tmp_path: Path) -> None:
    log = ChildLog(tmp_path, "prices", max_mb=0.00001, keep=2)
    log.write(b"aaaaaaa\nbb")
    log.write(b"bbb\nccc\n")
    log.close()
    assert (tmp_path / "prices.jsonl.1").read_bytes() == b"aaaaaaa\nbbbbb\n"
    assert (tmp_path / "prices.jsonl").read_bytes() == b"ccc\n"


def test_a_line_that_never_ends_fills_no_disk(tmp_path: Path) -> None:
    log = ChildLog(tmp_path, "prices", max_mb=0.00001, keep=2)
    for _ in range(100):
        log.write(b"xxxx")
    log.close()
    assert {path.stat().st_size <= 20 for path in tmp_path.iterdir()} == {True}
    assert len(list(tmp_path.iterdir())) == 3


def test_to_keep_millions_of_parts_costs_nothing_while_there_are_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []
    numbered = ChildLog._numbered

    def counted(log: ChildLog, number: int) -> Path:
        looked_at.append(number)
        return numbered(log, number)

    monkeypatch.setattr(ChildLog, "_numbered", counted)
    log = ChildLog(tmp_path, "prices", max_mb=0.00001, keep=2_000_000)
    for text in (b"aaaaaaaa\n", b"bbbbbbbb\n", b"cccccccc\n", b"dddddddd\n"):
        log.write(text)
    log.close()
    names = {path.name: path.read_bytes()[:1] for path in tmp_path.iterdir()}
    assert names == {"prices.jsonl": b"d", "prices.jsonl.1": b"c", "prices.jsonl.2": b"b", "prices.jsonl.3": b"a"}
    assert len(looked_at) < 20


def test_a_process_that_floods_is_cut_down_and_its_next_line_is_whole(tmp_path: Path, fake_clock: FakeClock) -> None:
    log = ChildLog(tmp_path, "prices", max_mb=100, keep=2, clock=fake_clock)
    log.write(b"y" * (child_logs.BURST_BYTES - 7) + b"\nfirst\n")
    log.write(b"lost\nlost in pa")
    assert (log.dropped, log.dropped_bytes, log.floods(fake_clock.monotonic_s())) == (1, 15, True)
    fake_clock._move(fake_clock.monotonic_s() + 1)
    log.write(b"rt\nsecond\n")
    log.close()
    assert (tmp_path / "prices.jsonl").read_bytes()[-14:] == b"\nfirst\nsecond\n"
    assert log.floods(fake_clock.monotonic_s() + 58)
    assert not log.floods(fake_clock.monotonic_s() + 60)


def test_after_a_gap_in_the_middle_of_a_line_the_file_goes_on_with_a_line_of_its_own(tmp_path: Path) -> None:
    log = ChildLog(tmp_path, "prices", max_mb=1, keep=2)
    log.write(b"half of a li")
    log._lose(b"ne\nlost\nlost in pa")
    log.write(b"rt")
    log.write(b" and still\n")
    log.write(b"whole\n")
    log.close()
    assert (tmp_path / "prices.jsonl").read_bytes() == b"half of a li\nwhole\n"


def test_other_settings_move_the_log_and_nothing_is_lost(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "old", "prices", max_mb=1, keep=2)
    log.write(b"before\n")
    log.configure(Logging(dir=str(tmp_path / "new" / "deeper"), max_mb=0.00001, keep=1))
    log.write(b"after 1\n")
    log.write(b"after 2\n")
    log.close()
    assert (tmp_path / "old" / "prices.jsonl").read_bytes() == b"before\n"
    assert (tmp_path / "new" / "deeper" / "prices.jsonl").read_bytes() == b"after 2\n"
    assert (tmp_path / "new" / "deeper" / "prices.jsonl.1").read_bytes() == b"after 1\n"


def test_a_file_size_limit_is_a_full_disk_too(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = ChildLog(tmp_path, "prices", max_mb=1, keep=2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
    try:
        log.write(b"12345\n")
        log.write(b"12345\n")
        assert (log.dropped, log.disk_refuses) == (1, True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.write(b"after\n")
    log.close()
    assert (log.dropped, log.disk_refuses) == (1, False)
    assert (tmp_path / "prices.jsonl").read_bytes() == b"12345\n12\nafter\n"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for 64 kB: for root a disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.getuid():
        pytest.skip("only root can mount a small disk; the tests with /dev/full and a file size limit stand in")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_blocks_no_child_and_is_used_again_when_there_is_room(
    tmp_path: Path, small_disk: Path
) -> None:
    toml = QUICK.replace("[logging]\n", f'[logging]\ndir = "{small_disk}"\n')
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM, "metrics": "stub_floods"}, toml=toml) as daemon:
        daemon.in_state("prices", "running")
        pid = daemon.process("metrics")["pid"]
        alert = wait_until(lambda: next((each for each in daemon.status()["alerts"] if "logs" in each["alert"]), None))
        assert alert["text"].endswith("writes to log files were refused by the disk")
        wait_until(lambda: "\n[ALERT] " in daemon.said)
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        wait_until(lambda: "logs_dropped" not in str(daemon.status()["alerts"]))
        wait_until(lambda: (small_disk / "metrics.jsonl").stat().st_size > 65_536)
        assert daemon.process("metrics")["pid"] == pid
        wait_until(lambda: "[ALERT] Over: logs dropped" in daemon.said)


async def test_a_flood_holds_up_neither_the_loop_nor_grows_in_memory(tmp_path: Path) -> None:
    """The loop has its turn after each read, however much there is; no machine needs to be quick for that."""
    came, clock, folder = 0, SystemClock(), tmp_path / "logs"
    log = ChildLog(folder, "prices", max_mb=5, keep=2)
    over: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def taken(chunk: bytes) -> None:
        nonlocal came
        came += len(chunk)
        log.write(chunk)

    command = Launch(arguments=(sys.executable, str(STUBS / "stub_floods.py")), environ={}, folder=STUBS)
    process = Process(command, on_exit=over.set_result, on_output=taken)
    while not came:
        await clock.sleep(0.001)
    began_s, began_kb = clock.monotonic_s(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first, turns = came, 0
    while came < 100_000_000:
        await clock.sleep(0)
        turns += 1
    assert turns >= (came - first) // 65_536  # what is read at once
    process.kill()
    await over
    log.close()
    on_disk = sum(file.stat().st_size for file in folder.iterdir())
    lasted_s = clock.monotonic_s() - began_s
    assert on_disk <= child_logs.BURST_BYTES + (lasted_s + 1) * child_logs.RATE_BYTES_S
    assert log.dropped_bytes + on_disk == pytest.approx(came, rel=0.01)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began_kb < 8_192
