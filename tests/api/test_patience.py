from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fix_api import PATIENCE_S, RunningApi, new_folder, served, settings_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="another parser there")
if sys.platform != "win32":
    from api import patience

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def patient(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningApi]:
    """A server of one's own that waits for a head longer than any machine stands still, until it is in a `hurry`."""
    monkeypatch.setattr(patience, "HEAD_WITHIN_S", PATIENCE_S)
    with served(settings_of(new_folder(sqlite_template, tmp_path)), tmp_path) as found:
        yield found


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEAD_WITHIN_S", 0.1)


def connected(api: RunningApi) -> socket.socket:
    """Return a connection that has had one answer already."""
    connection = socket.create_connection(("127.0.0.1", api.port), timeout=PATIENCE_S)
    connection.sendall(LIVEZ)
    told = b""
    while b'{"status":"ok"}' not in told:
        told += connection.recv(65_536)
    return connection


@contextmanager
def standing_still(api: RunningApi) -> Iterator[None]:
    """While the body runs the server takes nothing: it finds all of it at once."""
    go_on = threading.Event()
    api.loop.call_soon_threadsafe(go_on.wait, PATIENCE_S)
    yield
    go_on.set()


def rest(connection: socket.socket) -> bytes:
    """Everything that comes until the other side closes."""
    told = b""
    while part := connection.recv(65_536):
        told += part
    return told


def test_a_connection_that_says_nothing_is_not_kept(patient: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)
    with socket.create_connection(("127.0.0.1", patient.port), timeout=PATIENCE_S) as connection:
        assert rest(connection) == b""


def test_a_head_that_does_not_end_is_not_waited_for(patient: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    with connected(patient) as connection:
        hurry(monkeypatch)
        connection.sendall(LIVEZ + LIVEZ[:20])
        assert rest(connection).count(b"200 OK") == 1


def test_a_head_without_an_end_is_not_kept(api: RunningApi) -> None:
    with connected(api) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
        with pytest.raises(OSError):
            while True:
                connection.sendall(b"x" * 65_536)


def test_what_takes_its_time_after_the_head_is_not_hurried(
    patient: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    with standing_still(patient):
        connection = socket.create_connection(("127.0.0.1", patient.port), timeout=PATIENCE_S)
        head = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        connection.sendall(head)
    with connection:
        patient.do(patient.context.clock.sleep(0.3))
        connection.sendall(b"{}")
        assert b" 422 " in rest(connection).split(b"\r\n")[0]
