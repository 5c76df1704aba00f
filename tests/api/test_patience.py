from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fix_api import PATIENCE_S, RunningApi, new_folder, served, settings_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="another parser there")
if sys.platform != "win32":
    from api import patience


@pytest.fixture
def hasty(sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningApi]:
    """A server that waits a tenth of a second for a head."""
    monkeypatch.setattr(patience, "HEAD_WITHIN_S", 0.1)
    with served(settings_of(new_folder(sqlite_template, tmp_path)), tmp_path) as found:
        yield found


def answer(connection: socket.socket) -> bytes:
    """Everything that comes until the other side closes."""
    told = b""
    while part := connection.recv(65_536):
        told += part
    return told


def connected(api: RunningApi) -> socket.socket:
    return socket.create_connection(("127.0.0.1", api.port), timeout=PATIENCE_S)


def test_a_head_that_does_not_come_or_does_not_end_is_not_waited_for(hasty: RunningApi) -> None:
    for sent in (b"", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: "):
        with connected(hasty) as connection:
            connection.sendall(sent)
            assert answer(connection) == b""
    with connected(hasty) as connection:
        whole = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connection.sendall(whole + whole[:20])
        assert answer(connection).count(b"200 OK") == 1, "nor the second on the same connection"


def test_a_head_without_an_end_is_not_kept(api: RunningApi) -> None:
    with connected(api) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
        with pytest.raises(OSError):
            while True:
                connection.sendall(b"x" * 65_536)


def test_what_takes_its_time_after_the_head_is_not_hurried(hasty: RunningApi) -> None:
    with connected(hasty) as connection:
        head = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
        connection.sendall(head)
        hasty.do(hasty.context.clock.sleep(0.3))
        connection.sendall(b"{}")
        assert b" 422 " in answer(connection).split(b"\r\n")[0]
