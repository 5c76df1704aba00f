import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio
import trustme

from core.clock import SystemClock
from core.errors import Unreachable
from core.flight import FlightRecorder, Record, read_flight, segments
from net.client import HttpClient
from net.tls import Trust, build_trust
from simulator.testing import PracticeMarket
from tests.fix_clock import FakeClock
from tests.fix_tls import Handler, reply, upstream
from yahoo.quote import BadAnswer
from yahoo.session import BatchRefused, CrumbRefused, QuoteSession, RateLimited, retry_after_s

QUOTE = "/v7/finance/quote"
CRUMB = "/v1/test/getcrumb"


@asynccontextmanager
async def opened(trust: Trust, proxy: str) -> AsyncIterator[QuoteSession]:
    async with HttpClient(ca_path=trust.ca_path, proxy=proxy) as http:
        yield QuoteSession(http, FakeClock())


@pytest_asyncio.fixture
async def session(practice_market: PracticeMarket, tmp_path: Path) -> AsyncIterator[QuoteSession]:
    trust = build_trust(ca_file=str(practice_market.ca_file), state_dir=tmp_path)
    async with opened(trust, practice_market.proxy_url) as found:
        yield found


@asynccontextmanager
async def answered(authority: trustme.CA, trust: Trust, handler: Handler) -> AsyncIterator[QuoteSession]:
    """A session at a server that says things the practice market does not."""
    async with upstream(authority, handler) as server, opened(trust, server.url) as found:
        yield found


async def test_a_minted_crumb_opens_the_quotes(session: QuoteSession, practice_market: PracticeMarket) -> None:
    assert not session.has_crumb
    await session.mint()
    assert session.has_crumb
    answer = await session.quotes(["AAPL", "BRK-B"])
    assert [quote.ticker for quote in answer.quotes] == ["AAPL", "BRK-B"]
    assert answer.missing == answer.foreign == ()
    apple = answer.quotes[0]
    assert apple.currency == "USD"
    assert apple.current_price is not None and apple.current_price > 0
    assert apple.current_price <= practice_market.market.stocks["AAPL"].high


async def test_unknown_tickers_are_missing_and_not_an_error(session: QuoteSession) -> None:
    await session.mint()
    answer = await session.quotes(["AAPL", "NONEXIST", "BRKS"])
    assert [quote.ticker for quote in answer.quotes] == ["AAPL"]
    assert answer.missing == ("NONEXIST", "BRKS")


async def test_without_a_crumb_yahoo_refuses_and_the_next_use_must_mint(session: QuoteSession) -> None:
    with pytest.raises(RateLimited, match="crumb refused: status 401; slow down"):
        await session.quotes(["AAPL"])
    await session.mint()
    assert (await session.quotes(["AAPL"])).quotes


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_crumb_is_forgotten_and_counts_as_too_many_requests(
    session: QuoteSession, practice_market: PracticeMarket, status: int
) -> None:
    await session.mint()
    body = b'{"finance":{"result":null,"error":{"code":"Unauthorized","description":"Invalid Crumb"}}}'
    practice_market.server.answer_status(QUOTE, status, body)
    with pytest.raises(RateLimited) as caught:
        await session.quotes(["AAPL"])
    assert caught.value.retry_after_s is None
    assert not session.has_crumb
    await session.mint()
    assert (await session.quotes(["AAPL"])).quotes


async def test_a_429_keeps_the_crumb(session: QuoteSession, practice_market: PracticeMarket) -> None:
    await session.mint()
    practice_market.server.answer_status(QUOTE, 429, b"Edge: Too Many Requests")
    with pytest.raises(RateLimited, match="too many requests: status 429; slow down"):
        await session.quotes(["AAPL"])
    assert session.has_crumb
    assert (await session.quotes(["AAPL"])).quotes


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [("120", 120.0), ("0", 0.0), ("Mon, 23 Nov 2020 17:00:00 GMT", 0.0), ("-5", None), ("1e9", None), ("", None)],
)
async def test_a_retry_after_is_handed_on(
    practice_authority: trustme.CA, practice_trust: Trust, header: str, wait_s: float | None
) -> None:
    refusal = reply(429, b"Too Many Requests\r\n", {"retry-after": header})
    async with answered(practice_authority, practice_trust, lambda _: refusal) as session:
        with pytest.raises(RateLimited) as caught:
            await session.quotes(["AAPL"])
    assert caught.value.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("Mon, 23 Nov 2026 17:02:00 GMT", 120.0),
        ("Mon, 23 Nov 2026 16:00:00 GMT", 0.0),
        ("Monday, 23-Nov-26 17:00:30 GMT", 30.0),
        ("Mon Nov 23 17:00:01 2026", 1.0),
        ("Mon, 99 Nov 2026 17:00:00 GMT", None),
        ("soon", None),
    ],
)
def test_a_date_to_wait_until_is_understood_in_each_form_of_http(header: str, wait_s: float | None) -> None:
    assert retry_after_s(header, now=datetime(2026, 11, 23, 17, 0, tzinfo=UTC)) == wait_s


@pytest.mark.parametrize("status", [200, 302, 500, 502, 999])
async def test_a_page_for_people_is_a_bad_answer(
    practice_authority: trustme.CA, practice_trust: Trust, status: int
) -> None:
    page = reply(status, b"<!DOCTYPE html><html>consent</html>", {"content-type": "text/html"})
    async with answered(practice_authority, practice_trust, lambda _: page) as session:
        with pytest.raises(BadAnswer, match=QUOTE):
            await session.quotes(["AAPL"])


@pytest.mark.parametrize("status", [200, 429])
async def test_too_many_requests_is_never_taken_for_a_crumb(
    session: QuoteSession, practice_market: PracticeMarket, status: int
) -> None:
    practice_market.server.answer_status(CRUMB, status, b"Too Many Requests\r\n")
    with pytest.raises(RateLimited, match="getcrumb"):
        await session.mint()
    assert not session.has_crumb


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b" \r\n"),
        (200, b"<html></html>"),
        (200, b"a" * 41),
        (401, b'{"finance":{"result":null}}'),
        (404, b"notacrumb"),
        (500, b"abcdefghijk"),
    ],
)
async def test_what_is_no_crumb_is_never_kept(
    session: QuoteSession, practice_market: PracticeMarket, status: int, body: bytes
) -> None:
    practice_market.server.answer_status(CRUMB, status, body)
    with pytest.raises(BadAnswer, match=f"no crumb: status {status}"):
        await session.mint()
    assert not session.has_crumb


async def test_a_list_that_is_too_long_is_refused_as_a_whole(session: QuoteSession) -> None:
    await session.mint()
    with pytest.raises(BatchRefused, match="a list of 101 was refused: status 400"):
        await session.quotes([f"A{number}" for number in range(101)])
    assert (await session.quotes([f"A{number}" for number in range(100)])).missing


@pytest.mark.parametrize("status", [400, 413, 414])
async def test_a_single_ticker_that_is_refused_is_no_matter_of_length(
    session: QuoteSession, practice_market: PracticeMarket, status: int
) -> None:
    await session.mint()
    practice_market.server.answer_status(QUOTE, status, b"", times=2)
    with pytest.raises(BatchRefused):
        await session.quotes(["AAPL", "MSFT"])
    with pytest.raises(BadAnswer, match=f"status {status}"):
        await session.quotes(["AAPL"])


async def test_a_body_that_is_cut_short_is_unreachable(session: QuoteSession, practice_market: PracticeMarket) -> None:
    await session.mint()
    practice_market.faults.cut_at = 20
    with pytest.raises(Unreachable):
        await session.quotes(["AAPL"])


async def test_an_upstream_that_refuses_connections_is_unreachable(
    session: QuoteSession, practice_market: PracticeMarket
) -> None:
    practice_market.faults.refuse_connections = True
    with pytest.raises(Unreachable):
        await session.mint()
    assert not session.has_crumb


async def test_a_late_refusal_of_an_old_crumb_leaves_the_new_one(
    session: QuoteSession, practice_market: PracticeMarket
) -> None:
    """Several requests under way are refused together; the first to be told mints, the others must not undo it."""
    await session.mint()
    session._crumb = "worn out"
    asking = asyncio.ensure_future(session.quotes(["AAPL"]))
    await SystemClock().sleep(0)  # the request is under way with the old crumb
    await session.mint()
    with pytest.raises(RateLimited):
        await asking
    assert session.has_crumb


async def test_a_cookie_of_one_session_does_not_serve_another(
    session: QuoteSession, practice_market: PracticeMarket, tmp_path: Path
) -> None:
    await session.mint()
    trust = build_trust(ca_file=str(practice_market.ca_file), state_dir=tmp_path)
    async with opened(trust, practice_market.proxy_url) as stranger:
        stranger._crumb = session._crumb
        with pytest.raises(RateLimited, match="status 401"):
            await stranger.quotes(["AAPL"])


def echo(head: str) -> bytes:
    """Say back everything that was asked with, in the body and as an address does."""
    if "getcrumb" in head:
        return reply(200, b"Ab.cd/EfgHi")
    body = head + quote(head, safe="") + "Ab.cd\\/EfgHi"
    return reply(200, body.encode(), {"set-cookie": "A3=d=AQABBfirst&S=AQAAAsecond; Domain=.yahoo.com; Path=/; Secure"})


async def test_no_secret_gets_into_the_flight_recorder_even_if_the_answer_echoes_it(
    practice_authority: trustme.CA, practice_trust: Trust, tmp_path: Path
) -> None:
    flight = FlightRecorder(tmp_path, scanner="metrics", limit_mb=1, clock=FakeClock())
    flight.start()
    async with upstream(practice_authority, echo) as server:
        server.demands = "Proxy-Authorization: Basic"
        proxy = server.url.replace("http://", "http://someone:hunter2hunter2@")
        async with HttpClient(ca_path=practice_trust.ca_path, proxy=proxy) as http:
            session = QuoteSession(http, FakeClock(), flight=flight)
            session._crumb = "Ab.cd/EfgHi"
            for _ in range(2):  # the second request carries the cookie
                with pytest.raises(BadAnswer):
                    await session.quotes(["AAPL", "BRK-B"])
        sent = server.requests[-1]
    flight.close()
    assert "crumb=Ab.cd%2FEfgHi" in sent and "d=AQABBfirst&S=AQAAAsecond" in sent
    (segment,) = segments(tmp_path)
    kept = gzip.decompress(segment.read_bytes())
    for secret in (b"Ab.cd", b"EfgHi", b"AQABBfirst", b"AQAAAsecond", b"hunter2", b"someone"):
        assert secret not in kept
    records = [each for each in read_flight(segment) if isinstance(each, Record)]
    assert [(each.kind, each.status) for each in records] == [("answer", 200)] * 2
    assert records[-1].raw.count(b"REDACTED") == 5  # crumb and cookie, each as sent and in an address; crumb in JSON
    assert records[-1].source.startswith(
        "https://query1.finance.yahoo.com/v7/finance/quote?symbols=AAPL%2CBRK-B&fields=longName%2C"
    )


async def test_only_answers_to_quotes_are_recorded_never_that_which_holds_the_crumb(
    practice_market: PracticeMarket, tmp_path: Path
) -> None:
    trust = build_trust(ca_file=str(practice_market.ca_file), state_dir=tmp_path)
    flight = FlightRecorder(tmp_path / "flight", scanner="metrics", limit_mb=1, clock=FakeClock())
    flight.start()
    async with HttpClient(ca_path=trust.ca_path, proxy=practice_market.proxy_url) as http:
        session = QuoteSession(http, FakeClock(), flight=flight)
        await session.mint()
        await session.quotes(["AAPL"])
        (cookie,) = http.cookies()
    flight.close()
    (segment,) = segments(tmp_path / "flight")
    (record,) = read_flight(segment)
    assert isinstance(record, Record)
    assert record.source.startswith("https://query1.finance.yahoo.com/v7/finance/quote?symbols=AAPL&")
    assert b'"symbol":"AAPL"' in record.raw
    kept = gzip.decompress(segment.read_bytes())
    assert len(session._crumb) == 11 and len(cookie) > 20
    assert session._crumb.encode() not in kept
    assert cookie.partition("&")[0].encode() not in kept


async def test_any_endpoint_is_asked_with_the_crumb_or_without(
    session: QuoteSession, practice_market: PracticeMarket
) -> None:
    chart = "https://query1.finance.yahoo.com/v8/finance/chart/AAPL"
    assert (await session.get(chart, with_crumb=False)).status == 200
    await session.mint()
    summary = "https://query2.finance.yahoo.com/v10/finance/quoteSummary/AAPL"
    assert (await session.get(summary, {"modules": "price"}, with_crumb=True)).status == 200
    assert (await session.get(summary + "-NONE", {"modules": "price"}, with_crumb=True)).status == 404
    practice_market.server.answer_status("/v8/finance/chart/AAPL", 429)
    with pytest.raises(RateLimited, match="status 429"):
        await session.get(chart, with_crumb=False)
    practice_market.server.answer_status("/v8/finance/chart/AAPL", 503)
    with pytest.raises(BadAnswer, match="status 503"):
        await session.get(chart, with_crumb=False)
    practice_market.server.answer_status("/v10/finance/quoteSummary/AAPL", 401)
    with pytest.raises(CrumbRefused):
        await session.get(summary, {"modules": "price"}, with_crumb=True)
    assert not session.has_crumb
