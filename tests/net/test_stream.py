import socket
from pathlib import Path

import pytest
import trustme
from websockets.exceptions import ConnectionClosed, InvalidStatus

from net.stream import open_stream
from net.tls import Trust, build_trust
from simulator.testing import PracticeMarket
from tests.fix_tls import reply, upstream

URL = "wss://streamer.finance.yahoo.com/?version=2"
HOST = "streamer.finance.yahoo.com"
ORIGIN = "https://finance.yahoo.com"


async def test_frames_come_through_the_one_proxy_whatever_the_environment_says(
    practice_market: PracticeMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.setblocking(False)
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "WSS_PROXY", "wss_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{trap.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", "*")
        trust = build_trust(ca_file=str(practice_market.ca_file), state_dir=tmp_path)
        async with open_stream(URL, trust=trust, proxy=practice_market.proxy_url, origin=ORIGIN) as stream:
            await stream.send('{"subscribe":["AAPL"]}')
            assert '"type":"pricing"' in str(await stream.recv()).replace(" ", "")
        with pytest.raises(BlockingIOError):
            trap.accept()


async def test_without_a_proxy_no_variable_supplies_one(practice_trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap, socket.socket() as bound:
        trap.setblocking(False)
        bound.bind(("127.0.0.1", 0))
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "WSS_PROXY", "wss_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{trap.getsockname()[1]}")
        with pytest.raises(ConnectionRefusedError):
            async with open_stream(
                f"wss://127.0.0.1:{bound.getsockname()[1]}/", trust=practice_trust, proxy="", origin=ORIGIN
            ):
                pass
        with pytest.raises(BlockingIOError):
            trap.accept()


async def test_the_origin_is_sent_and_compression_is_not_offered(
    practice_authority: trustme.CA, practice_trust: Trust
) -> None:
    async with upstream(practice_authority, lambda _: reply(403), host=HOST) as server:
        with pytest.raises(InvalidStatus):
            async with open_stream(URL, trust=practice_trust, proxy=server.url, origin=ORIGIN):
                pass
    request = server.requests[0].lower()
    assert f"\r\norigin: {ORIGIN}\r\n" in request
    assert "sec-websocket-extensions" not in request


@pytest.mark.parametrize("place", ["wss://elsewhere.example/", "wss://streamer.finance.yahoo.com:8443/", "/?version=3"])
async def test_no_redirect_is_followed(practice_authority: trustme.CA, practice_trust: Trust, place: str) -> None:
    async with upstream(practice_authority, lambda _: reply(302, headers={"location": place}), host=HOST) as server:
        with pytest.raises(InvalidStatus, match="302"):
            async with open_stream(URL, trust=practice_trust, proxy=server.url, origin=ORIGIN):
                pass
    assert (len(server.connects), len(server.requests)) == (1, 1)


async def test_an_untrusted_certificate_ends_the_attempt(other_authority: trustme.CA, practice_trust: Trust) -> None:
    async with upstream(other_authority, host=HOST) as server:
        with pytest.raises(OSError, match="certificate verify failed"):
            async with open_stream(URL, trust=practice_trust, proxy=server.url, origin=ORIGIN):
                pass


async def test_every_close_is_an_error_to_the_reader_the_normal_one_too(
    practice_market: PracticeMarket, tmp_path: Path
) -> None:
    trust = build_trust(ca_file=str(practice_market.ca_file), state_dir=tmp_path)
    async with open_stream(URL, trust=trust, proxy=practice_market.proxy_url, origin=ORIGIN) as stream:
        await stream.send('{"subscribe":["AAPL"]}')
        await stream.recv()
        practice_market.server.close_streams(1000)
        with pytest.raises(ConnectionClosed):
            while True:
                await stream.recv()
