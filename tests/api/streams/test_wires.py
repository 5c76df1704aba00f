from __future__ import annotations

import pytest
from websockets.exceptions import ConnectionClosed

from api.streams.doors import Ending
from tests.fix_api import PATIENCE_S, RunningApi


def code_of(api: RunningApi, ending: Ending) -> tuple[int, str]:
    """What a stream is closed with that is ended from inside."""
    api.until_nobody_listens()
    with api.socket("/api/v1/stream") as socket:
        socket.send('{"type":"subscribe","channels":{"signals":[]}}')
        socket.recv(timeout=PATIENCE_S)
        opened = next(iter(api.context.doors.open))
        api.loop.call_soon_threadsafe(opened.end, ending)
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(timeout=PATIENCE_S)
    assert caught.value.rcvd is not None
    api.until_nobody_listens()
    return caught.value.rcvd.code, caught.value.rcvd.reason


@pytest.mark.parametrize(
    ("ending", "code", "words"),
    [("slow", 4408, "since signals=0"), ("auth", 4401, "signed out"), ("idle", 1000, "nothing more")],
)
def test_a_socket_is_closed_with_the_reason(api: RunningApi, ending: Ending, code: int, words: str) -> None:
    told = code_of(api, ending)
    assert told[0] == code and words in told[1]
