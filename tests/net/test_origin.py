import socket
from base64 import b64encode
from collections.abc import Iterator

import pytest
import trustme

from core.errors import FixByHand, Unreachable
from net.origin import probe_origin
from net.tls import Trust, build_trust
from simulator.testing import PracticeMarket
from tests.fix_tls import HOST, upstream

URL = f"https://{HOST}/v7/finance/quote"


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
        assert await probe_origin(URL, trust=practice_trust, proxy=server.url) == "practice"
        assert server.connects == [f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\n\r\n"]
        assert server.requests == []  # nothing above TLS


async def test_a_certificate_of_any_other_trusted_ca_means_live(
    other_authority: trustme.CA, other_trust: Trust
) -> None:
    async with upstream(other_authority) as server:
        assert await probe_origin(URL, trust=other_trust, proxy=server.url) == "live"


async def test_the_practice_market_itself_is_told_by_its_certificate(practice_market: PracticeMarket) -> None:
    trust = build_trust(ca_file=str(practice_market.ca_file), state_dir=practice_market.ca_file.parent)
    assert await probe_origin(URL, trust=trust, proxy=practice_market.proxy_url) == "practice"


async def test_an_untrusted_certificate_is_no_upstream_at_all(
    other_authority: trustme.CA, practice_trust: Trust
) -> None:
    async with upstream(other_authority) as server:
        with pytest.raises(Unreachable, match=f"{HOST}: .*certificate verify failed") as caught:
            await probe_origin(URL, trust=practice_trust, proxy=server.url)
    assert caught.value.exit_code == 69


async def test_a_certificate_of_another_host_is_refused(practice_authority: trustme.CA, practice_trust: Trust) -> None:
    async with upstream(practice_authority, host="elsewhere.example") as server:
        with pytest.raises(Unreachable, match="Hostname mismatch"):
            await probe_origin(URL, trust=practice_trust, proxy=server.url)


async def test_a_refused_port_is_unreachable_with_the_reason(free_port: int, practice_trust: Trust) -> None:
    with pytest.raises(Unreachable, match=rf"^{HOST}: .*127\.0\.0\.1.*{free_port}"):
        await probe_origin(URL, trust=practice_trust, proxy=f"http://127.0.0.1:{free_port}")


@pytest.mark.parametrize("status", ["HTTP/1.1 403 Forbidden", "HTTP/1.1 502 after 200 tries", "HTTP/1.1 2000 Odd"])
async def test_a_proxy_that_does_not_answer_200_is_named_with_what_it_said(
    practice_authority: trustme.CA, practice_trust: Trust, status: str
) -> None:
    async with upstream(practice_authority) as server:
        server.tunnel_reply = f"{status}\r\n\r\n".encode()
        with pytest.raises(Unreachable) as caught:
            await probe_origin(URL, trust=practice_trust, proxy=server.url)
    assert str(caught.value) == f"{HOST}: network.proxy: the proxy refused: {status}"


@pytest.mark.parametrize("rubbish", [b"", b"HTTP/1.1 200", b"x" * 200_000, b"HTTP/1.1 200 OK\r\n\r\nnot TLS"], ids=len)
async def test_a_proxy_that_talks_rubbish_is_unreachable(
    practice_authority: trustme.CA, practice_trust: Trust, rubbish: bytes
) -> None:
    async with upstream(practice_authority) as server:
        server.tunnel_reply = rubbish
        with pytest.raises(Unreachable, match=f"^{HOST}: .+"):
            await probe_origin(URL, trust=practice_trust, proxy=server.url)


async def test_a_peer_that_hangs_is_given_up_after_the_time_allowed(
    practice_authority: trustme.CA, practice_trust: Trust
) -> None:
    async with upstream(practice_authority) as server:
        server.hang = True
        with pytest.raises(Unreachable, match=r"no answer within 0\.05 s"):
            await probe_origin(URL, trust=practice_trust, proxy=server.url, timeout_s=0.05)


async def test_without_a_proxy_the_host_itself_is_asked(practice_trust: Trust) -> None:
    with pytest.raises(Unreachable, match=r"^127\.0\.0\.1: "):
        await probe_origin("https://127.0.0.1/", trust=practice_trust, proxy="")  # nothing listens on its port 443


async def test_the_port_is_that_of_the_url(practice_authority: trustme.CA, practice_trust: Trust) -> None:
    async with upstream(practice_authority) as server:
        url = f"wss://{HOST}:8443/?version=2"
        assert await probe_origin(url, trust=practice_trust, proxy=server.url) == "practice"
        assert server.connects == [f"CONNECT {HOST}:8443 HTTP/1.1\r\nHost: {HOST}:8443\r\n\r\n"]


async def test_without_a_proxy_the_port_of_the_url_is_asked(free_port: int, practice_trust: Trust) -> None:
    with pytest.raises(Unreachable, match=f"{free_port}"):
        await probe_origin(f"wss://127.0.0.1:{free_port}/", trust=practice_trust, proxy="")


async def test_an_address_of_version_six_keeps_its_brackets_in_the_tunnel(
    practice_authority: trustme.CA, practice_trust: Trust
) -> None:
    async with upstream(practice_authority, host="::1") as server:
        assert await probe_origin("wss://[::1]:8443/", trust=practice_trust, proxy=server.url) == "practice"
        assert server.connects[0].startswith("CONNECT [::1]:8443 HTTP/1.1\r\n")


async def test_a_proxy_with_a_password_is_told_it(practice_authority: trustme.CA, practice_trust: Trust) -> None:
    async with upstream(practice_authority) as server:
        server.demands = f"\r\nProxy-Authorization: Basic {b64encode('me:p:w@ü'.encode()).decode()}\r\n"
        with pytest.raises(Unreachable, match=r"the proxy refused: .* 407"):
            await probe_origin(URL, trust=practice_trust, proxy=server.url)
        proxy = server.url.replace("http://", "http://me:p%3Aw%40%C3%BC@")
        assert await probe_origin(URL, trust=practice_trust, proxy=proxy) == "practice"


@pytest.mark.parametrize("host", ["a..b", f"{'ü' * 63}.example"])
async def test_what_is_no_host_name_is_mended_by_hand(practice_trust: Trust, host: str) -> None:
    for url, proxy in ((f"wss://{host}/", "http://127.0.0.1:1"), (URL, f"http://{host}:80")):
        with pytest.raises(FixByHand, match=f"^{host}: is no host name") as caught:
            await probe_origin(url, trust=practice_trust, proxy=proxy)
        assert caught.value.exit_code == 78
