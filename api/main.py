"""The API's process: checks that it may listen, serves until asked to stop. Knows no path."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from api.app import build_app, build_context, running
from api.auth.start import check_address
from api.context import Context
from core import tasks
from core.clock import Clock, SystemClock
from core.errors import FixByHand
from core.logs import get_logger
from core.notify import Notifier, beat_interval_s
from core.program import LoopFactory
from core.settings import Api, Settings

SERVICE = "api"
BACKLOG = 1024
IDLE_S = 65
"""An idle connection is kept a little longer than a proxy in front keeps it, which then never meets a closed one."""
DRAIN_S = 5
"""What is under way may end; a stream is told and let go."""
UNTAKEN_MS = 60_000
HEAD_BYTES = 32 * 1024
COLLECT_AFTER = (5_000, 10, 10)
"""An open stream is some 200 objects: by the default of 700, 10, 10 a thousand that open had everything looked at five
times, 0.2 s each in which nobody is told anything; and what goes on in a stream is no garbage at all."""

log = get_logger(__name__)


class Server(uvicorn.Server):
    """Leaves the signals to the program around it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def loop_factory() -> LoopFactory | None:
    """Return what makes the event loop, uvloop where there is one, of a process that holds many streams."""
    gc.set_threshold(*COLLECT_AFTER)
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop


def listen(api: Api) -> list[socket.socket]:
    """Return the listening sockets; FixByHand if the address cannot be had."""
    try:
        return [_listener(api)]
    except OSError as error:
        where = f"{api.host}:{api.port}"
        raise FixByHand(
            f"cannot be listened on ({error.strerror})", where=where, key="api.port", right="free it or set another"
        ) from error


def _listener(api: Api) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        api.host, api.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # there it would let two listen on one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # who takes nothing for so long is given up, with what waits for it
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNTAKEN_MS)
        listener.bind(address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _is_news(record: logging.LogRecord) -> bool:
    """Whether the server's line says something: a WebSocket that was refused is none that was forgotten."""
    return "without completing handshake" not in record.getMessage()


def _http() -> Any:
    """Return the server's way to read requests."""
    if sys.platform == "win32":
        return "h11"
    from api.patience import PatientHttp

    return PatientHttp


def server_config(app: object, api: Api) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        lifespan="off",
        http=_http(),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(api.trusted_proxies),
        forwarded_allow_ips=api.trusted_proxies,
        ws="websockets-sansio",
        ws_per_message_deflate=False,  # 244 kB a client and twice the time for messages of a kilobyte
        ws_max_size=64 * 1024,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=DRAIN_S,
        h11_max_incomplete_event_size=HEAD_BYTES,
    )


async def main(settings: Settings, stop: asyncio.Event, notifier: Notifier, clock: Clock | None = None) -> None:
    """Serve until asked to stop; what it follows having ended ends it too, with that error."""
    clock = clock or SystemClock()
    check_address(settings.api)
    broken: list[BaseException] = []

    def lost(error: BaseException) -> None:
        broken.append(error)
        stop.set()

    context = await asyncio.to_thread(build_context, settings, clock)
    async with running(context, lost):
        await _serve(context, stop, notifier, lost)
    log.info("api_stopped", requests=sum(context.traffic.requests.values()))
    if broken:
        raise broken[0]


async def _serve(
    context: Context, stop: asyncio.Event, notifier: Notifier, lost: Callable[[BaseException], None]
) -> None:
    settings = context.settings
    listeners = listen(settings.api)
    server = Server(server_config(build_app(context), settings.api))
    serving = asyncio.ensure_future(server.serve(sockets=listeners))
    beating = tasks.spawn(_beat(server, listeners[0], context, notifier), name="beat", on_error=lost)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    notifier.stopping(within_s=DRAIN_S + 1)
    context.doors.close()
    server.should_exit = True
    await serving
    await tasks.cancel_all([beating, stopping])


async def _beat(server: Server, listener: socket.socket, context: Context, notifier: Notifier) -> None:
    """Say "ready" once it listens, then that the loop turns."""
    while not server.started:
        await context.clock.sleep(0.02)
    notifier.ready()
    log.info("api_started", address="{}:{}".format(*listener.getsockname()[:2]))
    while True:
        notifier.beat()
        await context.clock.sleep(beat_interval_s(context.settings.supervisor.heartbeat_timeout_s))
