"""The shipped API on a free port, without a bound on the rate: `python -m bench.stubs.api_server FOLDER`.

Prints its port and the key of a user it has made.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from api.app import build_app, build_context, running
from api.context import Context
from api.main import Server, listen, loop_factory, server_config
from api.principals import SCOPES, Principal
from core import logs
from core.clock import SystemClock
from core.settings import Api, Database, Settings, State

PASSWORD = "correct horse battery"


def settings_in(folder: Path) -> Settings:
    return Settings(
        state=State(dir=str(folder)),
        database=Database(url=f"sqlite:///{folder}/tickerd.db"),
        api=Api(port=0, requests_per_s=1e6, burst=1_000_000),
    )


async def serve(folder: Path, build: Callable[[Context], Any], scopes: Sequence[str] = ("read",)) -> None:
    settings = settings_in(folder)
    context = build_context(settings, SystemClock())
    async with running(context, lambda error: sys.exit(repr(error))):
        server = Server(server_config(build(context), settings.api))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _end, server)
        (listener,) = listen(settings.api)
        print(json.dumps({"port": listener.getsockname()[1], "key": await _key(context, scopes)}), flush=True)
        await server.serve(sockets=[listener])


def _end(server: Server) -> None:
    server.should_exit = True


async def _key(context: Context, scopes: Sequence[str]) -> str:
    users = await context.accounts.users(after=0, limit=10)
    known = [user["id"] for user in users if user["name"] == "bench"]
    user_id = known[0] if known else await context.accounts.add_user("bench", PASSWORD, "admin", must_change=False)
    principal = Principal(name="bench", kind="session", scopes=SCOPES, user_id=user_id)
    _, key = await context.accounts.add_key(principal, "bench", scopes, expires_at=None)
    return key


def main(build: Callable[[Context], Any]) -> None:
    logs.configure(service="bench", level="error", style="json")
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(Path(sys.argv[1]), build))


if __name__ == "__main__":
    main(build_app)
