"""The practice market's HTTP answers: which host and path is whose. A request goes in, a response comes out; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote

from simulator.answers import (
    chart,
    consent,
    directories,
    download,
    harvest,
    insights,
    options,
    quotes,
    screener,
    search,
    summary,
    timeseries,
)
from simulator.answers.chart import Answer
from simulator.answers.consent import Consent
from simulator.answers.facts import Facts
from simulator.answers.harvest import Proxy
from simulator.answers.identity import Identities
from simulator.answers.messages import HTML, JSON, TEXT, Request, Response, json_answer, refusal, text_answer
from simulator.ports import sinks
from simulator.ports.sinks import Sinks
from simulator.trouble.faults import Faults
from simulator.world.walk import Market

__all__ = ["HOSTS", "JSON", "Request", "Response", "Rest"]

COOKIE_HOST = "fc.yahoo.com"
QUERY_HOSTS = frozenset({"query1.finance.yahoo.com", "query2.finance.yahoo.com"})
HOSTS = QUERY_HOSTS | {COOKIE_HOST, sinks.WEBHOOK_HOST} | consent.HOSTS | directories.HOSTS | harvest.HOSTS
"""All that are served over HTTP."""
SYMBOLS_PER_REQUEST = 100
CHART = "/v8/finance/chart/"
OPTIONS = "/v7/finance/options/"
DOWNLOAD = "/v7/finance/download/"
SUMMARY = "/v10/finance/quoteSummary/"
TIMESERIES = "/ws/fundamentals-timeseries/v1/finance/timeseries/"
TRENDING = "/v1/finance/trending/"
RECOMMENDATIONS = "/v6/finance/recommendationsbysymbol/"
SCREENER = "/v1/finance/screener"


class Rest:
    """Answers for all HTTP hosts. Cookies and crumbs are good as long as `secret` is: until a restart.

    `proxies`: what the harvest's lists name beside dead ones. `row`: a ticker's v7 quote, None if it is unknown.
    """

    def __init__(
        self, market: Market, faults: Faults, *, secret: bytes, proxies: Callable[[], Sequence[Proxy]] = tuple
    ) -> None:
        self.sinks = Sinks()
        self.row: Callable[[str], Facts | None] = lambda symbol: quotes.answer(market, symbol)
        self._market = market
        self._faults = faults
        self._identities = Identities(secret)
        self._consent = Consent(self._identities)
        self._proxies = proxies

    def respond(self, request: Request) -> Response:
        """Return the answer; a planned one comes first."""
        try:
            path = request.url.path
        except ValueError:
            return refusal(400, "Bad Request", f"{request.target} is no address")
        if planned := self._faults.planned(path):
            kind = JSON if planned.body.startswith(b"{") else "text/html"
            return Response(status=planned.status, body=planned.body, content_type=kind)
        if request.host == sinks.WEBHOOK_HOST:
            return self.sinks.webhook(request)
        if request.host == consent.CONSENT_HOST:
            return self._consent.respond(request)
        if request.host in QUERY_HOSTS and path == SCREENER:
            return self._guarded(request, lambda: screener.page(self._market, request.body), method="POST")
        if request.method not in ("GET", "HEAD"):
            return refusal(405, "Method Not Allowed", f"{request.method} is not supported")
        return self._get(request, path)

    def _get(self, request: Request, path: str) -> Response:
        if request.host == COOKIE_HOST:
            # It answers 404 and sets the cookie all the same.
            return Response(status=404, content_type="text/html", headers={"set-cookie": self._identities.cookie()})
        if request.host in consent.HOSTS:
            return self._consent.respond(request)
        if request.host in harvest.HOSTS:
            return harvest.respond(request, self._proxies())
        if request.host in directories.HOSTS:
            text = directories.file(self._market, path)
            return text_answer(text, content_type="text/plain") if text else _page_not_found()
        if path == "/v1/test/getcrumb":
            return self._crumb(request)
        return self._query(request, path)

    def _query(self, request: Request, path: str) -> Response:
        """Answer what query1 and query2 know; half of it wants a crumb."""
        market, query = self._market, request.query
        if path == "/v7/finance/quote":
            return self._guarded(request, lambda: self._quote(query))
        if path.startswith(SUMMARY):
            symbol = unquote(path.removeprefix(SUMMARY))
            if symbol in self._faults.drop_symbols:
                return self._guarded(request, lambda: summary.unknown(symbol))
            return self._guarded(request, lambda: summary.answer(market, symbol, query))
        if path.startswith(OPTIONS):
            symbol = self._known(path.removeprefix(OPTIONS))
            return self._guarded(request, lambda: options.answer(market, symbol, query))
        if path.startswith(DOWNLOAD):
            return download.respond(market, self._known(path.removeprefix(DOWNLOAD)), query)
        if path == f"{SCREENER}/predefined/saved":
            return self._guarded(request, lambda: screener.predefined(market, query))
        if answer := self._open(path, query):
            return json_answer(*answer)
        return refusal(404, "Not Found", f"No resource at {path}")

    def _open(self, path: str, query: Mapping[str, str]) -> Answer | None:
        """Return the answers that anybody gets."""
        market = self._market
        if path.startswith(CHART):
            return chart.answer(market, self._known(path.removeprefix(CHART)), query)
        if path.startswith(TIMESERIES):
            return timeseries.answer(market, self._known(path.removeprefix(TIMESERIES)), query)
        if path.startswith(TRENDING):
            return search.trending(market, query)
        if path.startswith(RECOMMENDATIONS):
            return search.recommendations(market, unquote(path.removeprefix(RECOMMENDATIONS)))
        if path == "/v1/finance/search":
            return search.search(market, query)
        if path == "/ws/insights/v2/finance/insights":
            return insights.answer(market, query)
        if path == "/v7/finance/spark":
            return search.spark(market, query)
        return None

    def _known(self, symbol: str) -> str:
        """Return the symbol of a path; "", which nobody has, for one that is dropped."""
        return "" if unquote(symbol) in self._faults.drop_symbols else unquote(symbol)

    def _crumb(self, request: Request) -> Response:
        token = self._identities.token(request)
        if token is None:
            return refusal(401, "Unauthorized", "Invalid Cookie")
        return text_answer(self._identities.crumb(token), content_type=TEXT)

    def _guarded(self, request: Request, answer: Callable[[], Answer], *, method: str = "GET") -> Response:
        """Return the answer to who has a cookie and its crumb."""
        if request.method != method:
            return refusal(405, "Method Not Allowed", f"{request.method} is not supported")
        token = self._identities.token(request)
        if token is None:
            return refusal(401, "Unauthorized", "Invalid Cookie")
        if request.query.get("crumb") != self._identities.crumb(token):
            return refusal(401, "Unauthorized", "Invalid Crumb")
        return json_answer(*answer())

    def _quote(self, query: Mapping[str, str]) -> Answer:
        symbols = list(dict.fromkeys(filter(None, query.get("symbols", "").split(","))))
        if not symbols:
            return _error(400, "Bad Request", 'Missing value for the "symbols" argument')
        if len(symbols) > SYMBOLS_PER_REQUEST:
            # Reported: more than 99 or 100 fail. The body is not on record.
            return _error(400, "Bad Request", "Too many symbols")
        return 200, {"quoteResponse": {"result": self._results(symbols, query), "error": None}}

    def _results(self, symbols: list[str], query: Mapping[str, str]) -> list[Facts]:
        """Unknown symbols are absent without a word."""
        known = (self.row(symbol) for symbol in symbols if symbol not in self._faults.drop_symbols)
        found = [quote for quote in known if quote is not None]
        if fields := query.get("fields"):
            asked = frozenset(fields.split(","))
            return [quotes.only(quote, asked) for quote in found]
        return found


def _error(status: int, code: str, description: str) -> Answer:
    return status, {"finance": {"result": None, "error": {"code": code, "description": description}}}


def _page_not_found() -> Response:
    return Response(status=404, body=b"<html><body>404 - File or directory not found.</body></html>", content_type=HTML)
