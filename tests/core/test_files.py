import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.errors import FixByHand, RetryLater
from core.files import FileLock, acquire_or_say, make_folder, patiently, read_text, write_atomic, writing

ROOT = Path(__file__).parents[2]
HOLDER = """
import os, sys
from pathlib import Path
from core.files import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.try_acquire()
lock.write_owner(str(os.getpid()))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


def test_text_is_read_as_utf8_without_its_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbfM\xc3\xbcnchen")
    assert read_text(file) == "München"


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"abc\xff", "not UTF-8 at byte 3; save it as UTF-8"), (None, "cannot be read (No such file or directory)")],
)
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "a.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(FixByHand) as caught:
        read_text(file, key="universe.file")
    assert str(caught.value).startswith(f"{file}: universe.file: {said}")


def test_a_folder_is_no_readable_file(tmp_path: Path) -> None:
    with pytest.raises(FixByHand, match="Is a directory"):
        read_text(tmp_path)


def test_a_new_folder_is_for_its_owner_alone_and_an_old_one_stays_as_it_is(tmp_path: Path) -> None:
    made = make_folder(tmp_path / "a" / "b")
    assert made.stat().st_mode & 0o777 == 0o700
    made.chmod(0o755)
    assert make_folder(made).stat().st_mode & 0o777 == 0o755


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FixByHand, match=r"file/sub: cannot be made \(Not a directory\); give a folder"):
        make_folder(tmp_path / "file" / "sub")


def test_an_atomic_write_replaces_the_whole_and_sets_the_mode(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_atomic(file, b"old")
    write_atomic(file, b"new", mode=0o600)
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_failed_atomic_write_leaves_the_old_bytes_and_no_rest(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomic(tmp_path / "a.json", b"new")
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_reader_sees_the_old_bytes_or_the_new_never_a_part(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    wholes = {bytes([letter]) * 300_000 for letter in b"ab"}
    write_atomic(file, b"a" * 300_000)
    done = threading.Event()

    def write() -> None:
        try:
            for _ in range(20):
                for whole in sorted(wholes):
                    write_atomic(file, whole)
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.wait(0.001):  # Windows replaces no file that somebody has open: a reader without a pause keeps it
        assert patiently(file.read_bytes) in wholes
    writer.join()


def test_a_full_disk_is_one_line_that_says_which_file(tmp_path: Path) -> None:
    with pytest.raises(RetryLater) as caught, writing(Path("/dev/full")):
        Path("/dev/full").write_bytes(b"x")
    assert str(caught.value) == "/dev/full: cannot be written (No space left on device); look at the disk"
    assert caught.value.exit_code == 75


def test_what_is_not_allowed_is_mended_by_hand(tmp_path: Path) -> None:
    with pytest.raises(FixByHand, match=r"cannot be written \(Permission denied\); give a folder"), writing(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize("take", [FileLock.acquire, FileLock.try_acquire])
def test_a_lock_whose_file_cannot_be_made_is_named(tmp_path: Path, take: Callable[[FileLock], object]) -> None:
    with pytest.raises(RetryLater, match=r"gone/lock: cannot be locked \(No such file or directory\)"):
        take(FileLock(tmp_path / "gone" / "lock"))
    with pytest.raises(FixByHand, match=r"cannot be locked \(Is a directory\)"):
        take(FileLock(tmp_path))


def test_a_note_that_finds_no_room_names_the_lock(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    lock.path.symlink_to("/dev/full")
    lock.acquire()
    with pytest.raises(RetryLater, match="lock: cannot be written"):
        lock.write_owner("42")
    lock.release()


def test_a_lock_excludes_another_process_and_is_free_after_its_holder_was_killed(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    with held_by_another_process(lock.path) as holder:
        assert not lock.try_acquire()
        holder.kill()
        holder.wait()
        assert lock.try_acquire()
    lock.release()


def test_who_finds_the_lock_held_is_told_by_which_pid(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "run.lock")
    with held_by_another_process(lock.path) as holder:
        with pytest.raises(RetryLater) as caught:
            acquire_or_say(lock, what="tickerd")
        assert f"tickerd already runs with pid {holder.pid}; stop that one first" in str(caught.value)
        assert caught.value.exit_code == 75


def test_a_lock_without_a_note_is_held_by_someone_unknown(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock"), pytest.raises(RetryLater, match="with pid unknown"):
        acquire_or_say(FileLock(tmp_path / "lock"), what="tickerd")


def test_a_shorter_note_leaves_nothing_of_the_longer_one_before(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    acquire_or_say(lock, what="tickerd")
    lock.write_owner("1234567")
    lock.write_owner("42")
    assert lock.read_owner() == "42"
    lock.release()


def test_waiting_for_a_lock_ends_when_it_is_free_or_the_time_is_over(tmp_path: Path) -> None:
    lock, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert lock.acquire_within(0.0)
    assert not other.acquire_within(0.01)
    freeing = threading.Timer(0.01, lock.release)
    freeing.start()
    assert other.acquire_within(30.0)
    freeing.join()
    other.release()


def test_no_lock_file_no_owner(tmp_path: Path) -> None:
    assert FileLock(tmp_path / "lock").read_owner() == ""


def test_releasing_twice_is_harmless_and_the_lock_can_be_taken_again(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    for _ in range(2):
        assert lock.try_acquire()
        assert not FileLock(lock.path).try_acquire()
        lock.release()
        lock.release()


def test_threads_that_share_one_lock_object_exclude_each_other(tmp_path: Path) -> None:
    """Each opens the file anew, and the kernel's lock belongs to that opening."""
    lock = FileLock(tmp_path / "lock")
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(200):
            with lock:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(most) == 800
    assert max(most) == 1
    assert lock.try_acquire()
    lock.release()


def test_a_lock_whose_file_was_removed_or_replaced_keeps_nobody_out(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    assert lock.try_acquire()
    assert lock.keeps_others_out()
    lock.path.unlink()
    assert not lock.keeps_others_out()
    lock.path.touch()
    assert not lock.keeps_others_out()
    lock.release()
    assert lock.try_acquire()
    assert lock.keeps_others_out()
    lock.release()


def test_a_file_system_without_locks_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_descriptor: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refused)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(RetryLater, match=r"cannot be locked \(No locks available\); give a folder on a local disk"):
        FileLock(tmp_path / "lock").try_acquire()
    assert len(os.listdir("/proc/self/fd")) == before
