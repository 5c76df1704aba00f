import socket
from collections.abc import Iterator

import pytest
import trustme

from core.errors import Unreachable
from net.origin import probe_origin
from net.tls import Trust, build_trust
from simulator.testing import PracticeMarket
from tests.fix_tls import HOST, upstream


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port that refuses: bound, never listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


async def test_a_certificate_of_the_practice_markets_ca_means_practice(
    practice_authority: trustme.CA, practice_trust: Trust
) -> None:
    async with upstream(practice_authority) as server:
        assert await probe_origin(HOST, trust=practice_trust, proxy=server.url) == "practice"
        assert server.connects == [f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n"]
        assert server.requests == []  # nothing above TLS


async def test_a_certificate_of_any_other_trusted_ca_means_live(
    other_authority: trustme.CA, other_trust: Trust
) -> None:
    async with upstream(other_authority) as server:
        assert await probe_origin(HOST, trust=other_trust, proxy=server.url) == "live"


async def test_the_practice_market_itself_is_told_by_its_certificate(practice_market: PracticeMarket) -> None:
    trust = build_trust(ca_file=str(practice_market.ca_file), state_dir=practice_market.ca_file.parent)
    assert await probe_origin(HOST, trust=trust, proxy=practice_market.proxy_url) == "practice"


async def test_an_untrusted_certificate_is_no_upstream_at_all(
    other_authority: trustme.CA, practice_trust: Trust
) -> None:
    async with upstream(other_authority) as server:
        with pytest.raises(Unreachable, match=f"{HOST}: .*certificate verify failed") as caught:
            await probe_origin(HOST, trust=practice_trust, proxy=server.url)
    assert caught.value.exit_code == 69


async def test_a_certificate_of_another_host_is_refused(practice_authority: trustme.CA, practice_trust: Trust) -> None:
    async with upstream(practice_authority, host="elsewhere.example") as server:
        with pytest.raises(Unreachable, match="Hostname mismatch"):
            await probe_origin(HOST, trust=practice_trust, proxy=server.url)


async def test_a_refused_port_is_unreachable_with_the_reason(free_port: int, practice_trust: Trust) -> None:
    with pytest.raises(Unreachable, match=rf"^{HOST}: .*127\.0\.0\.1.*{free_port}"):
        await probe_origin(HOST, trust=practice_trust, proxy=f"http://127.0.0.1:{free_port}")


@pytest.mark.parametrize("status", ["HTTP/1.1 403 Forbidden", "HTTP/1.1 502 after 200 tries", "HTTP/1.1 2000 Odd"])
async def test_a_proxy_that_does_not_answer_200_is_named_with_what_it_said(
    practice_authority: trustme.CA, practice_trust: Trust, status: str
) -> None:
    async with upstream(practice_authority) as server:
        server.tunnel_reply = f"{status}\r\n\r\n".encode()
        with pytest.raises(Unreachable) as caught:
            await probe_origin(HOST, trust=practice_trust, proxy=server.url)
    assert str(caught.value) == f"{HOST}: network.proxy: the proxy refused: {status}"


@pytest.mark.parametrize("rubbish", [b"", b"HTTP/1.1 200", b"x" * 200_000, b"HTTP/1.1 200 OK\r\n\r\nnot TLS"], ids=len)
async def test_a_proxy_that_talks_rubbish_is_unreachable(
    practice_authority: trustme.CA, practice_trust: Trust, rubbish: bytes
) -> None:
    async with upstream(practice_authority) as server:
        server.tunnel_reply = rubbish
        with pytest.raises(Unreachable, match=f"^{HOST}: .+"):
            await probe_origin(HOST, trust=practice_trust, proxy=server.url)


async def test_a_peer_that_hangs_is_given_up_after_the_time_allowed(
    practice_authority: trustme.CA, practice_trust: Trust
) -> None:
    async with upstream(practice_authority) as server:
        server.hang = True
        with pytest.raises(Unreachable, match=r"no answer within 0\.05 s"):
            await probe_origin(HOST, trust=practice_trust, proxy=server.url, timeout_s=0.05)


async def test_without_a_proxy_the_host_itself_is_asked(practice_trust: Trust) -> None:
    with pytest.raises(Unreachable, match=r"^127\.0\.0\.1: "):
        await probe_origin("127.0.0.1", trust=practice_trust, proxy="")  # nothing listens on its port 443
