"""Every kind of proxy of the practice market, seen from outside: by curl, openssl or a bare socket."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from simulator import testing
from simulator.fleet.kinds import KINDS, SHARED_EXIT
from simulator.fleet.listener import Member
from simulator.testing import PracticeMarket
from tests.fix_outside import Curl, Page
from tests.fix_simulator import QUERY_HOST

ECHO = "https://api.ipify.org/"
CHART = "/v8/finance/chart/AAPL?range=1d&interval=1d"
SCHEMES = {"http": "http", "socks4a": "socks4a", "socks5": "socks5h"}


@pytest_asyncio.fixture
async def market(tmp_path: Path) -> AsyncIterator[PracticeMarket]:
    async with testing.running(tmp_path, symbols=("AAPL", "F", "MSFT")) as running:
        yield running


Visit = Callable[..., Awaitable[Page]]


@pytest.fixture
def visit(market: PracticeMarket, tmp_path: Path) -> Visit:
    """`visit(member, url, options...)` goes through this proxy with a new curl."""

    async def through(member: Member, url: str = ECHO, *options: str) -> Page:
        proxy = f"{SCHEMES[member.protocol]}://{member.address}"
        return await Curl(proxy, market.ca_file, tmp_path).get(url, *options)

    return through


@pytest.mark.parametrize("protocol", list(SCHEMES))
async def test_a_good_proxy_leads_to_yahoo_and_gives_its_own_exit(
    market: PracticeMarket, visit: Visit, protocol: str
) -> None:
    one, other = market.add_proxies("good", 2, protocol=protocol)
    pages = [await visit(member) for member in (one, other)]

    assert [page.body.decode() for page in pages] == [one.exit, other.exit]
    assert one.exit != other.exit
    seen = market.requests(host="api.ipify.org")
    assert [(asked.proxy, asked.exit) for asked in seen] == [(one.address, one.exit), (other.address, other.exit)]


@pytest.mark.parametrize(
    ("kind", "exit_code", "word"),
    [
        ("dead", 7, "connect"),
        ("auth", 56, "407"),
        ("busy", 56, "429"),
        ("forbidden", 56, "403"),
        ("web_server", 56, "400"),
        ("html", 35, "SSL"),
        ("own_certificate", 60, "certificate"),
        ("silent", 28, "timed out"),
        ("drip", 28, "timed out"),
        ("slow", 28, "timed out"),
        ("flood", 56, "response headers"),
    ],
)
async def test_curl_says_what_is_wrong_with_a_bad_proxy(
    market: PracticeMarket, visit: Visit, kind: str, exit_code: int, word: str
) -> None:
    (member,) = market.add_proxies(kind)
    page = await visit(member, ECHO, "--max-time", "1.5")

    assert page.exit_code == exit_code
    assert word in page.said
    assert market.requests() == []


@pytest.mark.parametrize("protocol", ["socks4a", "socks5"])
async def test_a_bad_socks_proxy_grants_nothing(market: PracticeMarket, visit: Visit, protocol: str) -> None:
    for kind in ("auth", "busy", "web_server"):
        (member,) = market.add_proxies(kind, protocol=protocol)
        assert (await visit(member)).exit_code == 97  # CURLE_PROXY


async def test_a_slow_proxy_works_after_three_seconds(market: PracticeMarket, visit: Visit) -> None:
    (member,) = market.add_proxies("slow")
    page = await visit(member)

    assert (page.status, page.took_s >= 3) == (200, True)


async def test_a_flaky_proxy_works_each_second_time(market: PracticeMarket, visit: Visit) -> None:
    (member,) = market.add_proxies("flaky")

    assert [(await visit(member)).status for _ in range(4)] == [0, 200, 0, 200]


async def test_an_own_certificate_is_of_another_issuer(market: PracticeMarket) -> None:
    (member,) = market.add_proxies("own_certificate")
    openssl = shutil.which("openssl")
    assert openssl is not None
    command = ["s_client", "-proxy", member.address, "-connect", f"{QUERY_HOST}:443", "-servername", QUERY_HOST]
    shaking = await asyncio.create_subprocess_exec(
        openssl,
        *command,
        *("-CAfile", str(market.ca_file)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said = (await shaking.communicate())[0].decode()

    assert "Totally Honest Proxy" in said
    assert "Verify return code: 0 (ok)" not in said


async def test_tampering_proxies_keep_the_certificate_and_change_numbers(
    market: PracticeMarket, tmp_path: Path
) -> None:
    prices: dict[str, list[float]] = {}
    for kind in ("good", "tamper_one", "tamper_all"):
        (member,) = market.add_proxies(kind)
        curl = Curl(f"http://{member.address}", market.ca_file, tmp_path)
        await curl.log_in()
        quotes = (await curl.quote("AAPL", "F", "MSFT")).quotes()
        prices[kind] = [quote["regularMarketPrice"] / quote["regularMarketPreviousClose"] for quote in quotes.values()]
        prices[f"{kind}_close"] = [quote["regularMarketPreviousClose"] for quote in quotes.values()]

    assert [ratio > 1.05 for ratio in prices["good"]] == [False] * 3
    assert sum(ratio > 1.05 for ratio in prices["tamper_one"]) == 1
    assert prices["tamper_all_close"] == pytest.approx([1.07 * close for close in prices["good_close"]])


async def test_a_captcha_a_limit_a_bomb_and_a_trickle_come_under_yahoo_s_certificate(
    market: PracticeMarket, visit: Visit
) -> None:
    captcha, limited, bomb, trickle = [
        market.add_proxies(kind)[0] for kind in ("captcha", "limited", "bomb", "trickle")
    ]

    page = await visit(captcha, CHART)
    assert (page.status, b"human" in page.body) == (200, True)
    assert (await visit(limited, CHART)).status == 429
    page = await visit(bomb, CHART)
    assert page.headers["content-encoding"] == "gzip"
    assert len(page.body) < 1_000_000
    page = await visit(trickle, CHART, "--max-time", "1.5")
    assert (page.exit_code, 0 < len(page.body) < 400) == (28, True)


async def test_a_redirect_leads_inside_and_the_ledger_tells_who_follows(market: PracticeMarket, visit: Visit) -> None:
    (member,) = market.add_proxies("redirect")
    page = await visit(member, CHART)

    assert (page.status, page.headers["location"]) == (302, f"http://{member.address}/inward")
    assert [each.outcome for each in market.connections(proxy=member.address)] == ["TLS"]
    await visit(member, CHART, "--location")
    outcomes = [each.outcome for each in market.connections(proxy=member.address)]
    assert "403" in outcomes
    assert market.server.refused_hosts.pop("127.0.0.1") == 1


async def test_shared_proxies_leave_by_one_exit_and_rotating_ones_by_another_each_time(
    market: PracticeMarket, visit: Visit
) -> None:
    shared = [(await visit(member)).body.decode() for member in market.add_proxies("shared", 2)]
    (member,) = market.add_proxies("rotating")
    rotating = [(await visit(member)).body.decode() for _ in range(3)]

    assert shared == [SHARED_EXIT] * 2
    assert len(set(rotating)) == 3


async def test_a_limit_of_one_exit_does_not_touch_another(market: PracticeMarket, visit: Visit) -> None:
    one, other = market.add_proxies("good", 2)
    market.fault("rate_limit", requests=1, window_s=60)

    assert [(await visit(member)).status for member in (one, one, other)] == [200, 429, 200]


async def test_a_proxy_can_turn_bad_die_and_come_back_on_its_port(market: PracticeMarket, visit: Visit) -> None:
    (member,) = market.add_proxies("good")
    codes = []
    for kind in ("auth", "dead", "dead", "good"):
        market.turn(member.address, kind)
        codes.append((await visit(member)).exit_code)

    assert codes == [56, 7, 7, 0]
    assert market.proxies()[0].kind == "good"


async def test_a_host_that_is_not_served_is_refused_by_every_proxy(market: PracticeMarket, visit: Visit) -> None:
    codes = [
        (await visit(market.add_proxies("good", protocol=protocol)[0], "https://example.com/")).exit_code
        for protocol in SCHEMES
    ]

    assert codes == [56, 97, 97]
    assert market.server.refused_hosts == {"example.com": 3}
    market.server.refused_hosts.clear()


async def test_an_address_in_place_of_a_name_is_refused(market: PracticeMarket) -> None:
    """Who resolves names himself asks a SOCKS proxy for an address: nobody is there."""
    five = b"\x05\x01\x00" + b"\x05\x01\x00\x01\x08\x08\x08\x08\x01\xbb"
    four = b"\x04\x01\x01\xbb\x08\x08\x08\x08\x00"
    answers = [
        await _raw(market.add_proxies("good", protocol=protocol)[0], said)
        for protocol, said in (("socks5", five), ("socks4a", four))
    ]

    assert answers == [b"\x05\x00" + b"\x05\x02\x00\x01" + bytes(6), b"\x00\x5b" + bytes(6)]
    market.server.refused_hosts.clear()


@pytest.mark.parametrize("protocol", list(SCHEMES))
async def test_another_protocol_ends_the_connection_and_nothing_else(market: PracticeMarket, protocol: str) -> None:
    (member,) = market.add_proxies("good", protocol=protocol)

    for said in (b"\x00" * 20 + b"\r\n\r\n", b"\x16\x03\x01\x02\x00hello\r\n\r\n", b"\x05\x01\x00\x05\x02\x00\x01"):
        await _raw(member, said)
    assert market.status().connections == 3


def test_every_kind_is_looked_at() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in KINDS if f'"{name}"' not in text] == []


async def test_no_proxy_listens_on_anything_but_loopback(market: PracticeMarket) -> None:
    (member,) = market.add_proxies("good")
    port = int(member.address.rpartition(":")[2])
    assert member.address.startswith("127.0.0.1:")
    own = socket.gethostbyname(socket.gethostname())
    if not own.startswith("127."):
        with pytest.raises(OSError):
            socket.create_connection((own, port), timeout=1).close()


async def _raw(member: Member, said: bytes) -> bytes:
    host, _, port = member.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(said)
    writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(), 60)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
