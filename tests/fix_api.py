"""The API as it is shipped, in a thread of the test's process: a real server, real sockets, a real SQLite file."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Engine
from websockets.sync.client import ClientConnection, connect

from api.app import build_app, build_context, running
from api.auth.accounts import From
from api.context import Context
from api.main import Server, listen, server_config
from core.bell import ring
from core.clock import SystemClock
from core.settings import Api, Database, Settings, State
from market.universe import Listing
from storage import scans
from storage.engine import open_reader_engine
from storage.scans import API_BELL
from storage.universe import load_universe
from storage.writer import Writer
from tests.fix_scanners import eventually
from tests.fix_storage import StillClock

T = TypeVar("T")
PASSWORD = "violet otter 42"
PATIENCE_S = 120.0
"""What must come has come by then, however busy the machine."""
TICKERS = ("AAPL", "BRK-B", "MSFT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class RunningApi:
    """`admin`: an API key that may do everything."""

    port: int
    context: Context
    loop: asyncio.AbstractEventLoop
    folder: Path
    admin: str = ""
    keys: dict[tuple[str, ...], str] = field(default_factory=dict)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(2 * PATIENCE_S)

    def until(self, true: Callable[[], object]) -> None:
        """Wait until `true`, asked in the server's loop, holds: a client sees its end before the server does."""
        self.do(eventually(true, timeout_s=PATIENCE_S))

    def until_nobody_listens(self) -> None:
        self.until(lambda: not self.context.doors.open)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask once. `key`: an API key or access token; none: the admin's, "": nobody's."""
        sent = {"Host": f"localhost:{self.port}", **(headers or {})}
        if key := self.admin if key is None else key:
            sent["Authorization"] = f"Bearer {key}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        with closing(connection):
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(status=answer.status, headers=found, body=answer.read())

    def key(self, *scopes: str) -> str:
        """Return an API key with these scopes alone."""
        if scopes not in self.keys:
            body = {"name": "test", "scopes": list(scopes)}
            self.keys[scopes] = self.ask("POST", "/api/v1/auth/tokens", body, key=self.token()).json["key"]
        return self.keys[scopes]

    def token(self, user: str = "admin") -> str:
        """Return an access token of a user whose password is PASSWORD."""
        signed = self.context.accounts.sign_in(user, PASSWORD, kind="token", origin=From(address="127.0.0.1"))
        return self.do(signed).access

    def socket(
        self, path: str, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> ClientConnection:
        """Open a WebSocket."""
        sent = dict(headers or {})
        if key := self.admin if key is None else key:
            sent["X-API-Key"] = key
        return connect(f"ws://localhost:{self.port}{path}", additional_headers=sent, proxy=None)


def settings_of(folder: Path, **api: Any) -> Settings:
    return Settings(
        state=State(dir=str(folder / "state")),
        database=Database(url=f"sqlite:///{folder}/tickerd.db"),
        api=Api(**{"port": 0, **api}),
    )


@contextmanager
def served(settings: Settings, folder: Path) -> Iterator[RunningApi]:
    """Serve in a thread until the body ends; what a follower raises fails the test."""
    lost: list[BaseException] = []
    context = build_context(settings, SystemClock())
    listeners = listen(settings.api)
    server = Server(server_config(build_app(context), settings.api))
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with running(context, lost.append):
            await server.serve(sockets=listeners)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        while not server.started:
            thread.join(0.005)
            assert thread.is_alive()
        yield RunningApi(listeners[0].getsockname()[1], context, loop, folder)
    finally:
        loop.call_soon_threadsafe(context.doors.close)
        server.should_exit = True
        thread.join(PATIENCE_S)
        loop.close()
        listeners[0].close()
    assert lost == []


def with_own_password(api: RunningApi) -> RunningApi:
    """Have the first admin choose its password, and give it a key."""
    first = (api.folder / "state" / "admin_password").read_text().strip()
    body = {"user": "admin", "password": first}
    token = api.ask("POST", "/api/v1/auth/login", body, key="").json["access_token"]
    changed = api.ask("POST", "/api/v1/auth/password", {"old": first, "new": PASSWORD}, key=token)
    assert changed.status == 200
    api.admin = api.key("read", "metrics", "scan", "control", "admin")
    return api


def new_folder(template: Path, folder: Path) -> Path:
    """Make a database with three tickers in `folder`."""
    shutil.copy(template, folder / "tickerd.db")
    with Writer.open(f"sqlite:///{folder}/tickerd.db", service="test", origin=None, clock=SystemClock()) as writer:
        load_universe(writer, [Listing(ticker=ticker, company_name=f"{ticker} Inc.") for ticker in TICKERS])
    return folder


@pytest.fixture(scope="module")
def api(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """A server with three tickers and an admin; the tests of a module share it."""
    folder = new_folder(sqlite_template, tmp_path_factory.mktemp("api"))
    with served(settings_of(folder, requests_per_s=1000.0, burst=10_000), folder) as found:
        found.until(found.context.book.filled.is_set)
        yield with_own_password(found)


def result_row(ticker: str, seq: int) -> dict[str, Any]:
    """A result as the scan engine keeps it."""
    return {
        "ticker": ticker,
        "seq": seq,
        "session": "2026-11-20",
        "values": {"close": 1.5},
        "flags": [],
        "tech_rating": 71.0,
    }


@dataclass
class ScanRun:
    """A scan whose engine is the test."""

    api: RunningApi
    scan_id: str
    found: list[dict[str, Any]] = field(default_factory=list)

    def write(self, work: Callable[[Writer], object]) -> None:
        self.api.do(self.api.context.database.write(work))
        ring(self.api.folder / "state" / API_BELL)

    def begin(self) -> ScanRun:
        self.write(lambda writer: scans.begin(writer, self.scan_id, {}, name=None, at=SystemClock().utc_now()))
        return self

    def find(self, *seqs: int, percent: float) -> None:
        """Find results and tell how far it is."""
        fresh = [result_row(f"T{seq}", seq) for seq in seqs]
        self.found += fresh
        told = {"scan_id": self.scan_id, "status": "running", "overall_progress": percent, "progress_percent": percent}
        self.write(lambda writer: scans.note_progress(writer, self.scan_id, told, fresh))

    def end(self) -> None:
        ranked = [{**row, "rank": place} for place, row in enumerate(self.found, start=1)]
        ended = scans.Ended(status="complete", values={"signals": len(ranked)}, results=ranked, errors=[])
        self.write(lambda writer: scans.end(writer, self.scan_id, ended, at=SystemClock().utc_now()))


@dataclass
class Direct:
    """The database without threads; counts what is read."""

    reader: Engine
    writer: Writer
    reads: int = 0

    async def read(self, work: Callable[[Engine], T]) -> T:
        self.reads += 1
        return work(self.reader)

    async def write(self, work: Callable[[Writer], T]) -> T:
        return work(self.writer)


@pytest.fixture
def direct(sqlite_file: Path) -> Iterator[Direct]:
    url = f"sqlite:///{sqlite_file}"
    reader = open_reader_engine(url, service="test")
    with Writer.open(url, service="test", origin=None, clock=StillClock()) as writer:
        yield Direct(reader, writer)
    reader.dispose()
