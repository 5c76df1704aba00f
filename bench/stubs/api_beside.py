"""The shipped API beside an orchestrator that obeys nothing: `python -m bench.stubs.api_beside FOLDER`.

So every path can be asked anything, and no order ends the server that is asked. Prints port and key, as `api_server`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from api.app import build_app
from api.main import loop_factory
from api.principals import SCOPES
from bench.stubs.api_server import serve
from core import logs
from core.files import make_folder
from daemon.control import ControlServer

PROCESS = {"state": "running", "pid": 1, "rss_mb": 80.0, "cpu_percent": 1.0, "open_files": 9, "restarts": 0}


def _status(_name: str) -> dict[str, Any]:
    names = ("prices", "metrics", "daily", "proxies", "recorder", "screener", "api", "backup")
    processes = [{"name": name, "wanted": True, "reason": "", **PROCESS} for name in names]
    return {"state": "running", "market": {"state": "closed"}, "alerts": [], "coverage": {}, "processes": processes}


def _obeyed(name: str) -> dict[str, Any]:
    return {"name": name, "state": "running", "reason": ""}


def _reloaded(_name: str) -> dict[str, Any]:
    return {"applied": [], "later": [], "advice": "", "restarted": []}


async def main(folder: Path) -> None:
    orders = {command: _obeyed for command in ("start", "stop", "restart")}
    control = ControlServer(make_folder(folder), {"status": _status, "reload": _reloaded, **orders})
    await control.start()
    try:
        await serve(folder, build_app, sorted(SCOPES))
    finally:
        await control.close()


if __name__ == "__main__":
    logs.configure(service="bench", level="warning", style="json")
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main(Path(sys.argv[1])))
