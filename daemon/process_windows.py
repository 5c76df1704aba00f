"""Starts one child in a Job Object of its own, sees its exit at once, asks it to stop over its pipe. Windows.

The twin of process.py; never decides when. Nobody of the job outlives this process: the system closes it at our end.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import asyncio
import ctypes
import msvcrt
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pywintypes
import win32api
import win32con
import win32job

from core.child_windows import ABORT, LOCK_VARIABLE, STOP
from core.notify import HANDLE
from daemon.beats_windows import BeatPipes
from daemon.descendants import Identity, identity
from daemon.launch import Launch

READ_BYTES = 65_536
CREATE_SUSPENDED = 0x4
PATH_LENGTH = 260  # of what the system ships
CHUNKS_AHEAD = 16  # what is read of a child's output before the loop has taken it
DRAIN_S = 1.0  # at an exit: for what is still in the pipe
KILLED = 0xE000_0009  # the exit code that our kill gives; the upper bits mark it as nobody's but ours
FAULT = 0x8000_0000  # NTSTATUS: from here on the system itself ended the process, say for a wild pointer
SIGKILL, SIGSEGV = 9, 11


class Process:
    """One running child; `on_exit(returncode)` comes once, `on_output(bytes)` as it writes.

    `kin`: who descended from it at the last look; `survivors`: how many of them had to be ended after its exit.
    """

    def __init__(
        self,
        command: Launch,
        *,
        on_exit: Callable[[int], None],
        on_output: Callable[[bytes], None],
        lock: Path | None = None,
        beats: BeatPipes | None = None,
    ) -> None:
        """Start it; it holds `lock` until it ends, or ends with 75 if another has it. OSError if the system refuses."""
        self._loop = asyncio.get_running_loop()
        self._on_exit, self._on_output = on_exit, on_output
        self._ahead = threading.Semaphore(CHUNKS_AHEAD)
        self.kin: frozenset[Identity] = frozenset()
        self.survivors = 0
        self._job = _new_job()
        self._popen = self._start(command, {} if lock is None else {LOCK_VARIABLE: str(lock)}, beats)
        self.pid = self._popen.pid
        self._begin()
        self._reading = _in_thread("output", self._read)
        _in_thread("exit", self._wait)

    def _start(self, command: Launch, handed: Mapping[str, str], beats: BeatPipes | None) -> subprocess.Popen[bytes]:
        environ, inherited = {**command.environ, **handed}, subprocess.STARTUPINFO()
        if beats is None:
            return _spawned(command, environ, inherited)
        reader, writer = os.pipe()
        handle = msvcrt.get_osfhandle(writer)
        os.set_handle_inheritable(handle, True)
        inherited.lpAttributeList = {"handle_list": [handle]}
        try:
            popen = _spawned(command, environ | {"NOTIFY_SOCKET": f"{HANDLE}{handle}"}, inherited)
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        beats.listen(reader, popen.pid)
        return popen

    def _begin(self) -> None:
        """Let it run, now that whatever it starts belongs to the job: a virtual environment's python.exe starts one."""
        try:
            win32job.AssignProcessToJobObject(self._job, int(self._popen._handle))  # type: ignore[attr-defined]
            psutil.Process(self.pid).resume()
        except (pywintypes.error, psutil.Error) as error:
            self._popen.kill()
            raise OSError(f"cannot be put into a job: {error}") from error

    def look(self) -> list[int]:
        """Remember who descends from it now; return their pids with its own."""
        with suppress(pywintypes.error):  # the job of a process that has just ended
            listed = win32job.QueryInformationJobObject(self._job, win32job.JobObjectBasicProcessIdList)
            others = [pid for pid in listed if pid != self.pid and not _hosts_console(pid)]
            self.kin = frozenset(who for pid in others if (who := identity(pid)) is not None)
        return [self.pid, *(who.pid for who in self.kin)]

    def ask(self) -> None:
        """Ask the process itself to end: its bootstrap turns this into what SIGTERM is elsewhere."""
        self._say(STOP)

    def terminate(self) -> None:
        """The same: Windows has no signal for a group. Whoever stays is ended with the job."""
        self._say(STOP)

    def abort(self) -> None:
        """Have faulthandler write every thread's stack into the log, then end."""
        self._say(ABORT)

    def kill(self) -> None:
        """End the process and everybody who descends from it."""
        with suppress(pywintypes.error):
            win32job.TerminateJobObject(self._job, KILLED - 2**32)  # it takes a signed number

    def _say(self, word: bytes) -> None:
        assert self._popen.stdin is not None
        with suppress(OSError, ValueError):  # it has just ended
            self._popen.stdin.write(word)

    def _wait(self) -> None:
        """In a thread of its own: until the process ends, then end its kin, so that the pipe comes to its end too."""
        code = self._popen.wait()
        try:
            self.look()
            self.survivors = len(self.kin)
            self.kill()
            self._reading.join(DRAIN_S)
        finally:  # whatever happens, the exit is told
            self._loop_call(self._ended, code)

    def _ended(self, code: int) -> None:
        with suppress(OSError, ValueError):
            assert self._popen.stdin is not None
            self._popen.stdin.close()
        self._job.Close()
        self._on_exit(as_returncode(code))

    def _read(self) -> None:
        """In a thread of its own: hand on what it writes, no faster than the loop takes it."""
        output = self._popen.stdout
        assert output is not None
        while chunk := os.read(output.fileno(), READ_BYTES):
            self._ahead.acquire()
            self._loop_call(self._take, chunk)
        output.close()

    def _take(self, chunk: bytes) -> None:
        self._ahead.release()
        self._on_output(chunk)

    def _loop_call(self, act: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to hear of it
            self._loop.call_soon_threadsafe(act, *arguments)


def as_returncode(code: int) -> int:
    """Return the exit code in the form of `subprocess` on POSIX: negative where the process was ended from outside."""
    if code == KILLED:
        return -SIGKILL
    return -SIGSEGV if code >= FAULT else code


def _hosts_console(pid: int) -> bool:
    """Whether it is the system's own: each console has one, which ends with those that use it."""
    image, length = ctypes.create_unicode_buffer(PATH_LENGTH), ctypes.c_ulong(PATH_LENGTH)
    with suppress(pywintypes.error):  # it has ended
        process = win32api.OpenProcess(win32con.PROCESS_QUERY_LIMITED_INFORMATION, False, pid)
        ctypes.windll.kernel32.QueryFullProcessImageNameW(int(process), 0, image, ctypes.byref(length))
    return image.value.lower().endswith("\\conhost.exe")


def end_strays() -> None:
    """Nobody can leave a job: there are none."""


def _spawned(command: Launch, environ: dict[str, str], startup: subprocess.STARTUPINFO) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command.arguments,
        env=environ,
        cwd=command.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        startupinfo=startup,
        # A console of its own: Ctrl-C in ours is for us alone. With none at all, the Python that a virtual
        # environment's python.exe starts would open one, with a window (CPython gh-85785).
        creationflags=subprocess.CREATE_NO_WINDOW | CREATE_SUSPENDED,
    )


def _new_job() -> Any:
    job: Any = win32job.CreateJobObject(None, "")  # type: ignore[func-returns-value]  # its stub is wrong: a handle
    limits = win32job.QueryInformationJobObject(job, win32job.JobObjectExtendedLimitInformation)
    limits["BasicLimitInformation"]["LimitFlags"] |= win32job.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
    win32job.SetInformationJobObject(job, win32job.JobObjectExtendedLimitInformation, limits)
    return job


def _in_thread(name: str, work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread
