import asyncio
import gzip
import re
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import trustme
from curl_cffi import Curl, CurlOpt

from core.errors import Unreachable
from net import client
from net.client import CROWD_BODY_BYTES, CrowdClient, Exit, HttpClient, NoAnswer
from net.tls import Trust
from tests.fix_tls import HOST, TUNNEL_OPEN, Upstream, reply, upstream

URL = f"https://{HOST}/v7/finance/quote"
VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy")


@pytest_asyncio.fixture
async def server(practice_authority: trustme.CA) -> AsyncIterator[Upstream]:
    async with upstream(practice_authority) as running:
        yield running


@pytest_asyncio.fixture
async def http(server: Upstream, practice_trust: Trust) -> AsyncIterator[HttpClient]:
    async with HttpClient(ca_path=practice_trust.ca_path, proxy=server.url) as opened:
        yield opened


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    """A listening socket that no request must ever reach."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening
        with pytest.raises(BlockingIOError):
            listening.accept()


async def test_an_answer_has_status_body_and_lower_case_header_names(server: Upstream, http: HttpClient) -> None:
    server.handler = lambda _: reply(404, b"gone", {"Retry-After": "7", "X-Mixed-Case": "Value"})
    answer = await http.get(URL)
    assert (answer.status, answer.body) == (404, b"gone")
    assert (answer.headers["retry-after"], answer.headers["x-mixed-case"]) == ("7", "Value")


async def test_parameters_arrive_escaped_and_the_fingerprint_is_a_browsers(server: Upstream, http: HttpClient) -> None:
    await http.get(URL, {"symbols": "AAPL,BRK-B", "crumb": "a/b.c=&"})
    request = server.requests[0]
    assert request.startswith("GET /v7/finance/quote?symbols=AAPL%2CBRK-B&crumb=a%2Fb.c%3D%26 HTTP/1.1\r\n")
    assert "Chrome/" in request


async def test_a_document_is_sent_as_json_under_the_same_fingerprint(server: Upstream, http: HttpClient) -> None:
    answer = await http.post(URL, {"crumb": "a/b"}, b'{"offset":250}')
    head = server.requests[0]
    assert (answer.status, answer.body) == (200, b"{}")
    assert head.startswith("POST /v7/finance/quote?crumb=a%2Fb HTTP/1.1\r\n")
    assert "content-type: application/json" in head.lower() and "content-length: 14" in head.lower()
    assert "Chrome/" in head


async def test_a_cookie_is_kept_and_sent_again(server: Upstream, http: HttpClient) -> None:
    server.handler = lambda _: reply(200, b"", {"set-cookie": "A3=d=x; Domain=.yahoo.com; Path=/; Secure"})
    await http.get(f"https://{HOST}/")
    await http.get(URL)
    assert "cookie: a3=d=x\r\n" in server.requests[1].lower()


async def test_two_clients_share_no_cookie(server: Upstream, http: HttpClient, practice_trust: Trust) -> None:
    server.handler = lambda _: reply(200, b"", {"set-cookie": "A3=d=x; Domain=.yahoo.com; Path=/; Secure"})
    await http.get(URL)
    async with HttpClient(ca_path=practice_trust.ca_path, proxy=server.url) as other:
        await other.get(URL)
    assert "cookie:" not in server.requests[1].lower()


@pytest.mark.parametrize("no_proxy", ["*", f"{HOST},yahoo.com,.yahoo.com"])
async def test_no_variable_sends_a_request_past_its_proxy(
    server: Upstream, practice_trust: Trust, trap: socket.socket, monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, f"http://127.0.0.1:{trap.getsockname()[1]}")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    monkeypatch.setenv("no_proxy", no_proxy)
    async with HttpClient(ca_path=practice_trust.ca_path, proxy=server.url) as http:
        assert (await http.get(URL)).status == 200
    assert [connect.split("\r\n")[0] for connect in server.connects] == [f"CONNECT {HOST}:443 HTTP/1.1"]


async def test_no_variable_sends_a_direct_request_through_a_proxy(
    practice_authority: trustme.CA, practice_trust: Trust, trap: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, f"http://127.0.0.1:{trap.getsockname()[1]}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    practice_authority.issue_cert("localhost").configure_cert(context)
    behind = Upstream(handler=lambda _: reply(200, b"direct"), context=context)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behind.answer(reader, writer)
        except EOFError:
            writer.transport.abort()

    served = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with HttpClient(ca_path=practice_trust.ca_path, proxy="") as http:
        answer = await http.get(f"https://localhost:{served.sockets[0].getsockname()[1]}/")
    assert answer.body == b"direct"
    served.close()


async def test_no_variable_adds_a_trusted_root(
    other_authority: trustme.CA, practice_trust: Trust, other_trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CURL_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(other_trust.ca_path))
    async with (
        upstream(other_authority) as stranger,
        HttpClient(ca_path=practice_trust.ca_path, proxy=stranger.url) as http,
    ):
        with pytest.raises(Unreachable, match="certificate"):
            await http.get(URL)
        assert stranger.requests == []


async def test_a_redirect_is_an_answer_and_is_not_followed(server: Upstream, http: HttpClient) -> None:
    server.handler = lambda _: reply(302, b"", {"location": "https://consent.yahoo.com/"})
    answer = await http.get(URL)
    assert (answer.status, answer.headers["location"]) == (302, "https://consent.yahoo.com/")
    assert len(server.connects) == 1


async def test_a_body_as_large_as_allowed_is_taken_whole(server: Upstream, http: HttpClient) -> None:
    body = b"a" * client.MAX_BODY_BYTES
    server.handler = lambda _: reply(200, body)
    assert (await http.get(URL)).body == body


def chunked(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n" % size + b"a" * size + b"\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, b"", {"content-length": str(client.MAX_BODY_BYTES + 1)}),
        chunked(client.MAX_BODY_BYTES + 1_000_000),
        reply(200, gzip.compress(b"a" * (5 * client.MAX_BODY_BYTES)), {"content-encoding": "gzip"}),
    ],
    ids=["announced", "chunked", "packed"],
)
async def test_an_oversized_body_is_refused(server: Upstream, http: HttpClient, answer: bytes) -> None:
    server.handler = lambda _: answer
    with pytest.raises(Unreachable, match=r"curl: \(63\)"):
        await http.get(URL)


async def test_a_refused_connection_is_unreachable_and_names_the_address_without_its_query(
    practice_trust: Trust,
) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{bound.getsockname()[1]}"
        async with HttpClient(ca_path=practice_trust.ca_path, proxy=proxy) as http:
            with pytest.raises(Unreachable) as caught:
                await http.get(URL, {"crumb": "secret"})
    assert str(caught.value).startswith(f"{URL}: ")
    assert "secret" not in str(caught.value)
    assert caught.value.exit_code == 69


async def test_a_proxy_that_refuses_the_tunnel_is_unreachable(server: Upstream, http: HttpClient) -> None:
    server.tunnel_reply = b"HTTP/1.1 403 Forbidden\r\n\r\n"
    with pytest.raises(Unreachable, match="403"):
        await http.get(URL)


async def test_an_answer_that_is_cut_short_is_unreachable(server: Upstream, http: HttpClient) -> None:
    def cut(_: str) -> bytes:
        raise EOFError  # hangs up without an answer

    server.handler = cut
    with pytest.raises(Unreachable):
        await http.get(URL)


async def test_a_peer_that_hangs_is_given_up_after_the_time_allowed(
    server: Upstream, practice_trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CONNECT_TIMEOUT_S", 0.1)
    monkeypatch.setattr(client, "TOTAL_TIMEOUT_S", 0.2)
    server.hang = True
    async with HttpClient(ca_path=practice_trust.ca_path, proxy=server.url) as http:
        with pytest.raises(Unreachable, match="timed out"):
            await http.get(URL)


@pytest_asyncio.fixture
async def crowd(practice_trust: Trust) -> AsyncIterator[CrowdClient]:
    async with CrowdClient(ca_path=practice_trust.ca_path) as opened:
        yield opened


async def test_a_crowds_requests_each_go_through_their_own_proxy(
    server: Upstream, crowd: CrowdClient, practice_authority: trustme.CA
) -> None:
    async with upstream(practice_authority, lambda _: reply(200, b"other")) as other:
        assert (await crowd.get(URL, proxy=server.url)).body == b"{}"
        assert (await crowd.get(URL, proxy=other.url)).body == b"other"
    assert len(server.requests) == len(other.requests) == 1


async def test_cookies_of_one_exit_never_reach_another(
    server: Upstream, crowd: CrowdClient, practice_authority: trustme.CA
) -> None:
    def set_cookie(_: str) -> bytes:
        return reply(200, b"", {"set-cookie": "A3=d=secret; Domain=.yahoo.com; Path=/; Secure"})

    server.handler = set_cookie
    async with upstream(practice_authority) as other:
        one, two = Exit(crowd, server.url), Exit(crowd, other.url)
        for _ in range(2):
            await one.get(URL)
            await two.get(URL)
    assert one.cookie == "A3=d=secret"
    assert "cookie: a3=d=secret\r\n" in server.requests[1].lower()
    assert all("cookie:" not in request.lower() for request in [server.requests[0], *other.requests])
    assert all("cookie" not in connect.lower() and "secret" not in connect for connect in server.connects)


async def test_an_exit_begins_with_the_cookie_that_was_kept_for_it(server: Upstream, crowd: CrowdClient) -> None:
    one = Exit(crowd, server.url, cookie="A3=d=x; B=y=z")
    await one.get(URL)
    assert "cookie: a3=d=x; b=y=z\r\n" in server.requests[0].lower()
    assert one.cookies() == ["d=x", "y=z"]
    one.forget()
    assert one.cookie == ""


@pytest.mark.parametrize("no_proxy", ["*", f"{HOST},yahoo.com,.yahoo.com"])
async def test_no_variable_sends_a_crowds_request_past_its_proxy(
    server: Upstream, crowd: CrowdClient, trap: socket.socket, monkeypatch: pytest.MonkeyPatch, no_proxy: str
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, f"http://127.0.0.1:{trap.getsockname()[1]}")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    monkeypatch.setenv("no_proxy", no_proxy)
    assert (await crowd.get(URL, proxy=server.url)).status == 200
    assert [connect.split("\r\n")[0] for connect in server.connects] == [f"CONNECT {HOST}:443 HTTP/1.1"]


async def test_a_crowds_request_without_a_proxy_is_refused(crowd: CrowdClient) -> None:
    with pytest.raises(ValueError, match="needs a proxy"):
        await crowd.get(URL, proxy="")


async def test_a_crowds_redirect_is_not_followed_and_only_https_is_spoken(server: Upstream, crowd: CrowdClient) -> None:
    server.handler = lambda _: reply(302, b"", {"location": "http://127.0.0.1/inward"})
    assert (await crowd.get(URL, proxy=server.url)).status == 302
    with pytest.raises(NoAnswer, match="Protocol"):
        await crowd.get(URL.replace("https", "http"), proxy=server.url)
    assert len(server.connects) == 1


async def test_a_bomb_is_cut_off_at_two_megabytes_unpacked(server: Upstream, crowd: CrowdClient) -> None:
    packed = gzip.compress(bytes(CROWD_BODY_BYTES + 1))
    server.handler = lambda _: reply(200, packed, {"content-encoding": "gzip"})
    with pytest.raises(NoAnswer) as caught:
        await crowd.get(URL, proxy=server.url)
    assert (caught.value.code, caught.value.secured) == (63, True)


async def test_what_a_proxy_says_before_tls_is_no_header_of_the_answer(server: Upstream, crowd: CrowdClient) -> None:
    server.tunnel_reply = TUNNEL_OPEN.removesuffix(b"\r\n") + b"X-Proxy: 1\r\nSet-Cookie: A3=theirs\r\n\r\n"
    server.handler = lambda _: reply(200, b"{}", {"x-true": "1"})
    answer = await crowd.get(URL, proxy=server.url)
    assert set(answer.headers) == {"x-true", "content-length", "connection"}
    assert answer.cookies == {}


async def test_the_headers_are_those_of_the_answer_and_not_of_hints_before_it(
    server: Upstream, crowd: CrowdClient
) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nX-Hint: 1\r\nSet-Cookie: A3=hint\r\n\r\n"
    server.handler = lambda _: (
        hints + reply(200, b"{}", {"X-Twice": "one:two\nx-twice: thr\x85ee", "Set-Cookie": "A3=d=x; Path=/"})
    )
    answer = await crowd.get(URL, proxy=server.url)
    assert (answer.status, answer.headers["x-twice"]) == (200, "one:two, thr\xc2\x85ee")
    assert "x-hint" not in answer.headers
    assert answer.cookies == {"A3": "d=x"}


@pytest.mark.parametrize("set_cookie", ["", "=", "a b=c", "@=x; y", "\x1b[2J=1", "\xff=\xfe"])
async def test_a_cookie_that_nobody_could_read_is_none(server: Upstream, crowd: CrowdClient, set_cookie: str) -> None:
    server.handler = lambda _: reply(200, b"{}").replace(
        b"\r\n", b"\r\nset-cookie: " + set_cookie.encode("latin-1") + b"\r\n", 1
    )
    answer = await crowd.get(URL, proxy=server.url)
    assert (answer.status, set(answer.cookies) & {"", "A3"}) == (200, set())


async def test_the_phase_of_a_failure_is_told(server: Upstream, crowd: CrowdClient, other_trust: Trust) -> None:
    server.tunnel_reply = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
    with pytest.raises(NoAnswer) as caught:
        await crowd.get(URL, proxy=server.url)
    assert (caught.value.connect_status, caught.value.secured) == (407, False)
    server.tunnel_reply = TUNNEL_OPEN
    async with CrowdClient(ca_path=other_trust.ca_path) as stranger:
        with pytest.raises(NoAnswer) as caught:
            await stranger.get(URL, proxy=server.url)
    assert (caught.value.code, caught.value.secured) == (60, False)


async def test_what_a_few_roots_do_not_sign_is_asked_for_by_all_before_it_is_called_wrong(
    server: Upstream, other_trust: Trust, practice_trust: Trust
) -> None:
    """And from then on by all: the upstream has another root."""
    few_roots, all_roots = other_trust.ca_path, practice_trust.ca_path
    async with CrowdClient(ca_path=few_roots, whole_ca_path=all_roots, keeps_connections=False) as few:
        for expected in (2, 3):
            assert (await few.get(URL, proxy=server.url)).status == 200
            assert len(server.connects) == expected
    async with CrowdClient(ca_path=other_trust.ca_path, whole_ca_path=other_trust.ca_path) as stranger:
        with pytest.raises(NoAnswer) as caught:
            await stranger.get(URL, proxy=server.url)
    assert caught.value.code == 60


@pytest.mark.skipif(sys.platform == "win32", reason="libcurl has no folder of roots there")
async def test_the_systems_own_folder_of_roots_is_not_believed(
    server: Upstream, practice_trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = bytearray()
    talking = {CurlOpt.VERBOSE: 1, CurlOpt.DEBUGFUNCTION: lambda _kind, text: told.extend(text)}
    monkeypatch.setattr(client, "NO_OTHER_ROOTS", {**client.NO_OTHER_ROOTS, **talking})
    async with CrowdClient(ca_path=practice_trust.ca_path) as crowd:
        await crowd.get(URL, proxy=server.url)
    assert re.findall(rb"CA(?:file|path): (.+)", told) == [str(practice_trust.ca_path).encode(), b"/dev/null"]


async def test_a_proxy_that_hangs_costs_no_more_than_its_time(server: Upstream, crowd: CrowdClient) -> None:
    server.hang = True
    with pytest.raises(NoAnswer, match="timed out"):
        await crowd.get(URL, proxy=server.url, total_s=0.2)


def test_libcurl_counts_what_is_unpacked() -> None:
    """Before 8.20 the limit held for the packed size alone."""
    release = Curl().version().decode().split("/")[1]
    assert tuple(map(int, release.split("-")[0].split(".")[:2])) >= (8, 20)
