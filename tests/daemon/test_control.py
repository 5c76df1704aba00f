from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.client import ask
from daemon.control import ControlServer, Refused, answer


def greet(name: str) -> dict[str, Any]:
    if name == "nobody":
        raise Refused("unknown process 'nobody'; known: prices")
    return {"hello": name}


HANDLERS = {"greet": greet, "status": lambda _name: {"version": 1}}


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[None]:
    server = ControlServer(folder, HANDLERS)
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
    assert answer(b'{"command": "dance"}', HANDLERS) == {"error": "unknown command 'dance'; known: greet, status"}
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
