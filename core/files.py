"""Small files on a local disk: atomic writes, locks, reads with clear errors. Never touches a database."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TypeVar

from core.clock import SystemClock, pause
from core.errors import FixByHand, RetryLater

if sys.platform == "win32":
    import msvcrt

    import win32con
    import win32file

    BINARY = os.O_BINARY
else:
    import fcntl

    BINARY = 0
"""For `os.open`: without it Windows writes other line ends than it is given."""

T = TypeVar("T")
POLL_S = 0.002  # between two tries for a lock that others hold for milliseconds
PATIENCE_S = 0.5  # Windows refuses a file that is being replaced, and replaces none that is open


def patiently(act: Callable[[], T]) -> T:
    """Return what `act` returns; on Windows again for PATIENCE_S where the file it needs is in another's hands."""
    clock = SystemClock()
    deadline_s = clock.monotonic_s() + (PATIENCE_S if sys.platform == "win32" else 0.0)
    while True:
        try:
            return act()
        except PermissionError:
            if clock.monotonic_s() >= deadline_s:
                raise
            pause(POLL_S)


def read_text(path: Path, *, key: str = "") -> str:
    """Return the UTF-8 text of `path`; FixByHand, naming the setting `key`, if it is absent or not UTF-8 text."""
    try:
        return patiently(lambda: path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 at byte {error.start}"
        raise FixByHand(reason, where=str(path), key=key, right="save it as UTF-8") from error
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise FixByHand(reason, where=str(path), key=key, right="give a readable file") from error


def make_folder(path: Path) -> Path:
    """Create `path` (0700 where it is new) and return it; FixByHand if that is not allowed."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FixByHand(
            f"cannot be made ({error.strerror})", where=str(path), right="give a folder that can be written"
        ) from error
    return path


def write_atomic(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` in one step: a reader sees the old bytes or the new ones, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        patiently(lambda: os.replace(name, path))
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def writing(path: Path, *, done: str = "written") -> Iterator[None]:
    """Turn an OSError of the body into one line naming `path`: RetryLater, or FixByHand if that is not allowed."""
    try:
        yield
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        reason = f"cannot be {done} ({error.strerror})"
        raise FixByHand(reason, where=str(path), right="give a folder that can be written") from error
    except OSError as error:  # a full or a read-only disk, no descriptor left
        raise RetryLater(f"cannot be {done} ({error.strerror})", where=str(path), right="look at the disk") from error


class FileLock:
    """An exclusive lock between processes on the file `path`; the kernel frees it when its holder dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free; False if another process holds it."""
        return self.acquire_within(0.0)

    def acquire_within(self, timeout_s: float) -> bool:
        """Take the lock; False if its holder, perhaps a stopped process, has kept it for all of `timeout_s`."""
        fd = self._open()
        clock = SystemClock()
        deadline_s = clock.monotonic_s() + timeout_s
        try:
            while not _lock(fd, wait=False):
                if clock.monotonic_s() >= deadline_s:
                    os.close(fd)
                    return False
                pause(POLL_S)
        except OSError as error:
            os.close(fd)
            right = "give a folder on a local disk"
            raise RetryLater(f"cannot be locked ({error.strerror})", where=str(self.path), right=right) from error
        self._fd = fd
        return True

    def acquire(self) -> None:
        """Take the lock, waiting as long as it takes: for sections that last milliseconds."""
        fd = self._open()
        _lock(fd, wait=True)
        self._fd = fd

    def release(self) -> None:
        """Free the lock; harmless if it is not held."""
        fd, self._fd = self._fd, None  # before the lock is free: another thread may then set its own
        if fd is not None:
            _unlock(fd)
            os.close(fd)

    def keeps_others_out(self) -> bool:
        """Whether `path` still is the locked file: once it was removed, others lock another one."""
        assert self._fd is not None
        try:
            return os.path.samestat(os.fstat(self._fd), self.path.stat())
        except OSError:
            return False

    def write_owner(self, text: str) -> None:
        """Note who holds the lock in the file itself; only its holder may call this."""
        assert self._fd is not None
        with writing(self.path):
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, text.encode())

    def read_owner(self) -> str:
        """Return what the holder noted; empty if nothing is there."""
        try:
            return self.path.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def _open(self) -> int:
        with writing(self.path, done="locked"):
            return os.open(self.path, os.O_RDWR | os.O_CREAT | BINARY, 0o600)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def acquire_or_say(lock: FileLock, *, what: str) -> None:
    """Take `lock` or raise RetryLater naming the process that holds it."""
    if not lock.try_acquire():
        owner = lock.read_owner() or "unknown"
        raise RetryLater(f"{what} already runs with pid {owner}", where=str(lock.path), right="stop that one first")


if sys.platform == "win32":
    LOCKED_BYTE = 1 << 30  # far behind the owner's note, which others must be able to read

    def open_to_follow(path: Path) -> BinaryIO:
        """Open a file that others go on to write, without standing in the way of its being renamed."""
        shared = win32con.FILE_SHARE_READ | win32con.FILE_SHARE_WRITE | win32con.FILE_SHARE_DELETE
        read, existing = win32con.GENERIC_READ, win32con.OPEN_EXISTING
        try:
            handle = win32file.CreateFile(str(path), read, shared, None, existing, 0, None)
        except win32file.error as error:
            raise OSError(None, error.strerror, str(path), error.winerror) from error
        return os.fdopen(msvcrt.open_osfhandle(int(handle.Detach()), os.O_RDONLY | BINARY), "rb")

    def _lock(fd: int, *, wait: bool) -> bool:
        os.lseek(fd, LOCKED_BYTE, os.SEEK_SET)
        while True:
            try:
                msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
            except OSError:
                if not wait:
                    return False
                pause(POLL_S)  # LK_LOCK would try once a second
            else:
                return True

    def _unlock(fd: int) -> None:
        os.lseek(fd, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

else:

    def open_to_follow(path: Path) -> BinaryIO:
        """Open a file that others go on to write; Windows needs more for it than this."""
        return path.open("rb")

    def _lock(fd: int, *, wait: bool) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)
