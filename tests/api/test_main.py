from __future__ import annotations

import asyncio
import gc
import socket
from pathlib import Path

import pytest

from api.main import listen, loop_factory, main
from core.clock import SystemClock
from core.errors import FixByHand
from core.notify import Notifier
from core.settings import Api
from tests.fix_api import new_folder, settings_of


class Told(Notifier):
    def __init__(self) -> None:
        super().__init__(None)
        self.said: list[str] = []

    def ready(self) -> None:
        self.said.append("ready")

    def stopping(self, *, within_s: float | None = None) -> None:
        self.said.append("stopping")


def test_it_serves_until_asked_to_stop(sqlite_template: Path, tmp_path: Path) -> None:
    settings, told = settings_of(new_folder(sqlite_template, tmp_path), auth=False), Told()

    async def run() -> None:
        stop = asyncio.Event()
        serving = asyncio.ensure_future(main(settings, stop, told))
        async with asyncio.timeout(30):
            while told.said != ["ready"]:
                await SystemClock().sleep(0.01)
        stop.set()
        await serving

    asyncio.run(run())
    assert told.said == ["ready", "stopping"]


def test_a_follower_that_ends_ends_the_process_with_its_error(
    sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else quotes would stand still, and nobody would know."""
    settings = settings_of(new_folder(sqlite_template, tmp_path), auth=False)

    async def follow(_self: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("api.book.Book.follow", follow)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(main(settings, asyncio.Event(), Told()))


def test_an_address_that_is_taken_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FixByHand, match=rf"127.0.0.1:{port}: api.port: cannot be listened on"):
            listen(Api(port=port))


def test_it_listens_on_ipv6_too() -> None:
    if not socket.has_ipv6:
        return
    try:
        (listener,) = listen(Api(host="::1", port=0))
    except FixByHand as missing:
        assert "Cannot assign" in str(missing), "a machine without IPv6"
        return
    with listener:
        assert listener.getsockname()[0] == "::1"


def test_streams_that_open_have_nobody_wait_for_a_look_at_all_objects() -> None:
    before = gc.get_threshold()
    try:
        loop_factory()
        young, middle, old = gc.get_threshold()
        assert young * middle * old >= 1_000 * 200, "a thousand streams, before the first look at everything"
    finally:
        gc.set_threshold(*before)
