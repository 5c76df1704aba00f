from __future__ import annotations

import asyncio
import json
import random
import stat
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import SystemClock, pause
from core.errors import FixByHand
from daemon import control
from daemon.client import Transport, ask
from daemon.control import ControlServer, Refused, answer
from tests.fix_daemon import CALM, PATIENCE_S, running_daemon


def greet(name: str) -> dict[str, Any]:
    if name == "nobody":
        raise Refused("unknown process 'nobody'; known: prices")
    return {"hello": name}


def fail(name: str) -> dict[str, Any]:
    if name == "config":
        raise FixByHand("is wrong", where="config.toml", key="prices.cycle_s", right="give another")
    raise KeyError(name)


HANDLERS = {"fail": fail, "greet": greet, "status": lambda _name: {"version": 1}}
BOTH = pytest.mark.parametrize("transport", ["unix", "tcp"])
STATUS = b'{"command": "status"}\n'


@asynccontextmanager
async def served(folder: Path, transport: Transport = "unix") -> AsyncIterator[None]:
    server = ControlServer(folder, HANDLERS, transport=transport)
    await server.start()
    try:
        yield
    finally:
        await server.close()


async def exchange(folder: Path, sent: bytes) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(str(folder / "control.sock"))
    writer.write(sent)
    writer.write_eof()
    lines = (await reader.read()).splitlines()
    writer.close()
    await writer.wait_closed()
    return [json.loads(line) for line in lines]


def test_an_answer_comes_from_the_handler_of_the_command() -> None:
    assert answer(b'{"command": "greet", "name": "prices"}', HANDLERS) == {"hello": "prices"}
    assert answer(b'{"command": "status"}', HANDLERS) == {"version": 1}


def test_an_unknown_command_or_name_is_told_what_is_known() -> None:
    assert answer(b'{"command": "dance"}', HANDLERS) == {"error": "unknown command 'dance'; known: fail, greet, status"}
    assert answer(b'{"command": "greet", "name": "nobody"}', HANDLERS)["error"].endswith("known: prices")


@pytest.mark.parametrize("line", [b"", b"x", b"[]", b"{}", b'{"command": 3}', b'{"command": "greet", "name": []}'])
def test_a_line_that_is_no_request_gets_an_error(line: bytes) -> None:
    assert answer(line, HANDLERS)["error"].startswith("not a request")


@given(st.binary(max_size=100))
def test_no_line_can_harm_the_server(line: bytes) -> None:
    assert answer(line, HANDLERS)


async def test_a_client_gets_one_answer_a_line(tmp_path: Path) -> None:
    async with served(tmp_path):
        answers = await exchange(tmp_path, b'{"command":"status"}\nrubbish\n{"command":"greet","name":"x"}')
    assert answers[0] == {"version": 1}
    assert "error" in answers[1]
    assert answers[2] == {"hello": "x"}


async def test_a_request_without_end_gets_an_error_and_the_next_client_an_answer(tmp_path: Path) -> None:
    async with served(tmp_path):
        answers = await exchange(tmp_path, b"x" * 100_000)
        assert "longer than 65536 bytes" in answers[0]["error"]
        assert await asyncio.to_thread(ask, tmp_path, {"command": "status"}) == {"version": 1}


async def test_a_client_that_goes_away_harms_nobody(tmp_path: Path) -> None:
    async with served(tmp_path):
        for _ in range(20):
            _reader, writer = await asyncio.open_unix_connection(str(tmp_path / "control.sock"))
            writer.write(b'{"command":"status"}\n' * 100)
            writer.transport.abort()
        assert await asyncio.to_thread(ask, tmp_path, {"command": "status"}) == {"version": 1}


async def test_only_the_owner_may_ask(tmp_path: Path) -> None:
    async with served(tmp_path):
        assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600
    assert not (tmp_path / "control.sock").exists()


async def test_a_socket_that_a_killed_daemon_left_is_replaced(tmp_path: Path) -> None:
    async with served(tmp_path):
        (tmp_path / "control.sock").rename(tmp_path / "kept")
        (tmp_path / "kept").rename(tmp_path / "control.sock")
        async with served(tmp_path):
            assert await asyncio.to_thread(ask, tmp_path, {"command": "status"}) == {"version": 1}


async def test_a_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 100) / ("e" * 100)
    folder.mkdir(parents=True)
    async with served(folder):
        assert await asyncio.to_thread(ask, folder, {"command": "status"}) == {"version": 1}


def test_a_fault_of_ours_and_a_known_error_are_answers_too() -> None:
    wrong = {"error": "config.toml: prices.cycle_s: is wrong; give another", "exit_code": 78}
    assert answer(b'{"command": "fail", "name": "config"}', HANDLERS) == wrong
    assert answer(b'{"command": "fail"}', HANDLERS) == {"error": "a fault of tickerd: KeyError(''); see its log"}


@BOTH
async def test_many_clients_at_once_have_each_its_answer(tmp_path: Path, transport: Transport) -> None:
    async with served(tmp_path, transport):
        requests = [{"command": "greet", "name": str(number)} for number in range(50)]
        asked = (
            asyncio.to_thread(ask, tmp_path, request, timeout_s=PATIENCE_S, transport=transport) for request in requests
        )
        assert await asyncio.gather(*asked) == [{"hello": str(number)} for number in range(50)]


async def test_on_loopback_only_who_can_read_the_token_is_answered(tmp_path: Path) -> None:
    async with served(tmp_path, "tcp"):
        file = tmp_path / "control.token"
        assert sys.platform == "win32" or stat.S_IMODE(file.stat().st_mode) == 0o600  # there the folder's rights count
        assert await asyncio.to_thread(ask, tmp_path, {"command": "status"}, transport="tcp") == {"version": 1}
        door = json.loads(file.read_text())
        for token in ("", "0" * 32, "\u00e9"):
            reader, writer = await asyncio.open_connection("127.0.0.1", door["port"])
            writer.write(json.dumps({"command": "status", "token": token}).encode() + b"\n")
            assert "the token is not the one in control.token" in json.loads(await reader.readline())["error"]
            writer.close()
    assert not file.exists()


async def test_a_request_without_end_is_told_so_after_half_a_second(tmp_path: Path) -> None:
    async with served(tmp_path):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "control.sock"))
        writer.write(b'{"command": "sta')
        async with asyncio.timeout(PATIENCE_S):
            said = json.loads(await reader.readline())["error"]
        assert said == "the request has no end after 0.5 s; send one JSON line with a line end"
        assert await reader.read() == b""
        writer.close()


async def test_a_client_that_takes_no_answers_keeps_nobody_waiting_and_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "IDLE_S", 0.2)
    monkeypatch.setattr(control, "REQUEST_S", 1000.0)  # nobody is let go for being slow here
    async with served(tmp_path):
        _reader, writer = await asyncio.open_unix_connection(str(tmp_path / "control.sock"), limit=100)
        writer.write(STATUS * 5_000)  # the answers fill every buffer on the way
        assert await asyncio.to_thread(ask, tmp_path, {"command": "status"}, timeout_s=PATIENCE_S) == {"version": 1}
        with pytest.raises(OSError):  # broken pipe or reset, as it comes
            while True:
                writer.write(STATUS)
                await writer.drain()
                await SystemClock().sleep(0.01)
        writer.close()


async def test_a_client_with_a_thousand_requests_lets_the_others_take_turns(tmp_path: Path) -> None:
    slow_s, order = 0.001, []

    def work(name: str) -> dict[str, Any]:
        order.append(name)
        pause(slow_s)
        return {}

    server = ControlServer(tmp_path, {"work": work})
    await server.start()
    _reader, many = await asyncio.open_unix_connection(str(tmp_path / "control.sock"))
    many.write(b'{"command":"work","name":"many"}\n' * 1000)
    reader, one = await asyncio.open_unix_connection(str(tmp_path / "control.sock"))
    one.write(b'{"command":"work","name":"one"}\n')
    assert await reader.readline() == b"{}\n"
    assert order.index("one") < 100
    many.close()
    one.close()
    await server.close()


@BOTH
async def test_a_server_that_closes_lets_everybody_go(tmp_path: Path, transport: Transport) -> None:
    server = ControlServer(tmp_path, HANDLERS, transport=transport)
    await server.start()
    if transport == "unix":
        clients = [await asyncio.open_unix_connection(str(tmp_path / "control.sock")) for _ in range(3)]
    else:
        port = json.loads((tmp_path / "control.token").read_text())["port"]
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    clients[0][1].write(STATUS * 5_000)
    clients[1][1].write(b"half a requ")
    await SystemClock().sleep(0.05)
    assert len(server._clients) == 3
    await server.close()
    assert server._clients == {}
    for _reader, writer in clients:
        writer.close()


async def test_of_too_many_clients_the_oldest_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "CLIENTS", 3)
    async with served(tmp_path):
        idle = [await asyncio.open_unix_connection(str(tmp_path / "control.sock")) for _ in range(3)]
        assert await asyncio.to_thread(ask, tmp_path, {"command": "status"}) == {"version": 1}
        assert await idle[0][0].read() == b""
        idle[2][1].write(STATUS)
        assert json.loads(await idle[2][0].readline()) == {"version": 1}
        for _reader, writer in idle:
            writer.close()


def test_a_storm_of_commands_leaves_one_copy_of_each_process(tmp_path: Path) -> None:
    """Fifty clients at once: each command has an answer, and what was last asked for holds."""

    dice = random.Random(7)
    words = [(dice.choice(("start", "stop", "restart")), dice.choice(("prices", "recorder"))) for _ in range(150)]
    with running_daemon(tmp_path, {"prices": "stub_beats", **CALM}) as daemon:
        daemon.in_state("prices", "running")
        with ThreadPoolExecutor(50) as clients:
            answers = list(clients.map(lambda each: daemon.ask(*each), words))
        assert [each for each in answers if "error" in each] == []
        for name in ("prices", "recorder"):
            daemon.ask("start", name)
            daemon.in_state(name, "running")
        assert daemon.end() == 0
        for name in ("prices", "recorder"):
            alive = 0
            for event in daemon.events():
                if event["process"] == name:
                    alive += event["event"] in ("scanner_started", "scanner_restarted")
                    alive -= event["event"] in ("scanner_stopped", "scanner_failed")
                    assert alive in (0, 1)
            assert alive == 0
