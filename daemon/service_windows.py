"""The Windows service: runs the orchestrator as its one child and stops it politely. Supervises no scanner itself.

The orchestrator is a process of its own, as it needs a main thread for its signals; it is in a Job Object, so that it
ends with the service whatever happens.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import asyncio
import os
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pywintypes
import servicemanager
import win32service
import win32serviceutil
import winerror

from core import config
from core.config import Loaded
from core.errors import EXIT_CONFIG, EXIT_DONE
from daemon.child_logs import ChildLog
from daemon.launch import Launch, supervised, tree_on_path
from daemon.process_windows import Process

NAME = "tickerd"
LOG = "service"
MARGIN_S = 10.0  # what the orchestrator gets beyond its children's time, before it is ended with them
RESTARTS_MS = (1_000, 5_000, 60_000)  # after the first failure of a day, the second, and each further one
BOOT = "import runpy, site, sys; site.addsitedir(sys.argv[1]); runpy.run_module(sys.argv[2], None, '__main__')"
"""A virtual environment's python.exe starts the real one as its child, which the service manager does not know."""
STATES = {
    win32service.SERVICE_STOPPED: "stopped",
    win32service.SERVICE_START_PENDING: "starting",
    win32service.SERVICE_STOP_PENDING: "stopping",
    win32service.SERVICE_RUNNING: "running",
}


class Service(win32serviceutil.ServiceFramework):
    """What the service manager talks to; its methods' names are pywin32's."""

    _svc_name_ = NAME
    _svc_display_name_ = "tickerd"
    _svc_description_ = "Keeps one SQL table of the US stock market fresh."

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(arguments)
        _, _packages, _module, self._python, config_file = sys.argv
        self._loaded = config.load(config_file, os.environ, Path.cwd())
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()

    def SvcDoRun(self) -> None:
        """Run until the orchestrator ends; anything but a stop that was asked for has the service manager restart it.

        Exit 78 is a stop too: a person must change the configuration first.
        """
        code = self._loop.run_until_complete(host(orchestrator(self._loaded, self._python), self._loaded, self._stop))
        if code == EXIT_DONE or self._stop.is_set():
            return
        servicemanager.LogErrorMsg(f"tickerd ended with {code}; see {_log_folder(self._loaded) / LOG}.jsonl")
        if code != EXIT_CONFIG:
            # Not through the framework, which would report a good end: the failure actions need a bad one.
            os._exit(code & 0x7FFF_FFFF or 1)

    def SvcStop(self) -> None:
        """Have the orchestrator stop; say how long that may take, so that nobody calls it hung."""
        wait_ms = int(1000 * _patience_s(self._loaded))
        self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING, wait_ms)
        self._loop.call_soon_threadsafe(self._stop.set)

    SvcShutdown = SvcStop


async def host(start: Launch, loaded: Loaded, stop: asyncio.Event) -> int:
    """Run the orchestrator until it ends; once `stop` is set, ask it to. Return its exit code."""
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    logging = loaded.settings.logging
    log = ChildLog(_log_folder(loaded), LOG, max_mb=logging.max_mb, keep=logging.keep)
    process = Process(start, on_exit=ended.set_result, on_output=log.write)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((ended, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not ended.done():
        process.ask()
        await asyncio.wait((ended,), timeout=_patience_s(loaded))
        process.kill()
    code = await ended
    log.close()
    return code


def orchestrator(loaded: Loaded, python: str) -> Launch:
    """Return how `tickerd run` is started under the bootstrap that hears of a stop over its pipe."""
    assert loaded.file is not None
    arguments = (python, *supervised("cli.main", "run", "--config", str(loaded.file))[1:])
    environ = dict(os.environ) | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"} | tree_on_path(os.environ)
    return Launch(arguments=arguments, environ=environ, folder=loaded.file.parent)


def _log_folder(loaded: Loaded) -> Path:
    return Path(loaded.settings.logging.dir)


def _patience_s(loaded: Loaded) -> float:
    return loaded.settings.supervisor.stop_timeout_s + MARGIN_S


def install(config_file: Path, *, account: str | None, password: str | None) -> None:
    """Register the service: it starts with the machine, and again after each failure."""
    register(config_file, account=account, password=password)
    try:
        configure()
    except pywintypes.error:
        uninstall()
        raise


def register(config_file: Path, *, account: str | None, password: str | None) -> None:
    """Make it known to the service manager; `account` None: LocalSystem."""
    with _manager(win32service.SC_MANAGER_CREATE_SERVICE) as manager:
        service = win32service.CreateService(
            manager,
            NAME,
            Service._svc_display_name_,
            win32service.SERVICE_ALL_ACCESS,
            win32service.SERVICE_WIN32_OWN_PROCESS,
            win32service.SERVICE_AUTO_START,
            win32service.SERVICE_ERROR_NORMAL,
            command_line(config_file),
            None,
            False,
            None,
            account,
            password,
        )
        win32service.CloseServiceHandle(service)


def command_line(config_file: Path) -> str:
    """Return what the service manager runs."""
    python = str(Path(sys.base_prefix) / "python.exe")
    module = "daemon.service_windows"  # its name, also where it runs as the main one
    words = [python, "-P", "-c", BOOT, sysconfig.get_path("purelib"), module, sys.executable, str(config_file)]
    return subprocess.list2cmdline(words)


def configure() -> None:
    """Say what it is and that a failure starts it again, also one that was reported as an ordinary end."""
    restart, change = win32service.SC_ACTION_RESTART, win32service.ChangeServiceConfig2
    actions = {"ResetPeriod": 86_400, "RebootMsg": "", "Command": "", "Actions": [(restart, ms) for ms in RESTARTS_MS]}
    with _opened() as service:
        change(service, win32service.SERVICE_CONFIG_DESCRIPTION, Service._svc_description_)
        change(service, win32service.SERVICE_CONFIG_FAILURE_ACTIONS, actions)
        change(service, win32service.SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, True)


def start() -> None:
    """Have the service manager start it; that it runs shows in `state`."""
    with _opened() as service:
        win32service.StartService(service, None)


def uninstall() -> None:
    """Stop the service if it runs, and remove it; it is gone when it has stopped."""
    with _opened() as service:
        if win32service.QueryServiceStatus(service)[1] != win32service.SERVICE_STOPPED:
            win32service.ControlService(service, win32service.SERVICE_CONTROL_STOP)
        win32service.DeleteService(service)


def state() -> str:
    """Return "running", "stopped", "starting", "stopping", or "absent" if it is not installed."""
    try:
        with _opened(win32service.SERVICE_QUERY_STATUS) as service:
            return STATES[win32service.QueryServiceStatus(service)[1]]
    except pywintypes.error as error:
        if error.winerror == winerror.ERROR_SERVICE_DOES_NOT_EXIST:
            return "absent"
        raise


@contextmanager
def _manager(access: int = win32service.SC_MANAGER_CONNECT) -> Iterator[Any]:
    manager = win32service.OpenSCManager(None, None, access)
    try:
        yield manager
    finally:
        win32service.CloseServiceHandle(manager)


@contextmanager
def _opened(access: int = win32service.SERVICE_ALL_ACCESS) -> Iterator[Any]:
    with _manager() as manager:
        service = win32service.OpenService(manager, NAME, access)
        try:
            yield service
        finally:
            win32service.CloseServiceHandle(service)


def main() -> None:
    """Hand this process over to the service manager that has started it."""
    servicemanager.Initialize()
    servicemanager.PrepareToHostSingle(Service)
    servicemanager.StartServiceCtrlDispatcher()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
