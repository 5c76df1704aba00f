"""Quotes of the table and the universe. Asks no exchange."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import Path, Query, Request
from pydantic import Field
from sqlalchemy import Column, Engine, func, or_, select
from starlette.responses import Response

from api.answers import JSON, answer
from api.columns import page_answer
from api.context import context_of
from api.etags import CACHE, matches, not_modified, tagged
from api.problems import Problem
from api.route import Route, asked
from api.schemas import (
    BAR_PAGE,
    QUOTE,
    QUOTE_COLUMNS,
    QUOTE_PAGE,
    TIME_COLUMNS,
    UNIVERSE_PAGE,
    Line,
    PageQuery,
    TickerText,
    ticker_of,
)
from api.sql import Listing, decode_cursor, encode_cursor, read_page
from storage.schema import stocks_daily_bar, stocks_stock

MOST_TICKERS = 1000
LISTED = (*QUOTE_COLUMNS, *TIME_COLUMNS)
UNIVERSE = ("ticker", "company_name", "exchange", "quote_type", "sector", "industry", "currency", "is_listed")
TICKER = stocks_stock.c.ticker


class QuoteQuery(PageQuery):
    tickers: Line | None = Field(default=None, max_length=16_000, description="Only these: AAPL,MSFT. No cursor then.")
    sector: Line = Field(default="", description="Only of this sector, as Yahoo names it.")
    search: Line = Field(default="", max_length=60, description="In the ticker or the company's name.")
    fields: Line = Field(default="", max_length=2000, description="Only these columns; `*`: all.")
    sort: str = Field(default="ticker", max_length=40, pattern=r"^-?[a-z0-9_]+$", description="-column: falling.")


async def quotes(request: Request) -> Response:
    """List quotes, by ticker or by any column."""
    query = asked(request, QuoteQuery)
    plain = query.sort == "ticker" and not (query.fields or query.sector or query.search)
    if plain and query.format == "json":
        return _from_book(request, query)
    listing = _listing(query)
    page = await context_of(request).database.read(
        lambda engine: read_page(engine, listing, limit=query.limit, cursor=query.cursor)
    )
    return tagged(request, page_answer(page, query.format))


def _from_book(request: Request, query: QuoteQuery) -> Response:
    """Join rows that are bytes already: a page of a hundred in microseconds."""
    book = context_of(request).book
    if matches(request, book.tag):
        return not_modified(book.tag)
    if query.tickers is not None:
        rows, unknown = book.rows(_asked(query.tickers))
        end = b'],"next":null,"unknown":' + answer(unknown).body + b"}"
    else:
        after = decode_cursor(query.cursor, (TICKER,))[0] if query.cursor else ""
        rows, last = book.page(after=after, limit=query.limit)
        end = b'],"next":"%b"}' % encode_cursor([last]).encode() if last else b'],"next":null}'
    body = b'{"data":[' + b",".join(rows) + end
    return Response(body, headers={"ETag": book.tag, "Cache-Control": CACHE}, media_type=JSON)


def _asked(tickers: str) -> list[str]:
    named = [one for one in tickers.split(",") if one.strip()]
    if len(named) > MOST_TICKERS:
        raise Problem(422, "too_many_tickers", f"at most {MOST_TICKERS} tickers at a time")
    try:
        return [ticker_of(one) for one in named]
    except ValueError as error:
        raise Problem(422, "wrong_ticker", str(error)) from error


def _listing(query: QuoteQuery) -> Listing:
    where = [stocks_stock.c.sector == query.sector] if query.sector else []
    if query.tickers is not None:
        where.append(TICKER.in_(_asked(query.tickers)))
    if query.search:
        where.append(_contains(query.search))
    by = _column(query.sort.removeprefix("-"))
    key = (TICKER,) if by is TICKER else (by, TICKER)
    return Listing(columns=_columns(query.fields), key=key, falling=query.sort.startswith("-"), where=where)


def _contains(words: str) -> Any:
    found = (TICKER, stocks_stock.c.company_name)
    return or_(*(func.lower(column).contains(words.lower(), autoescape=True) for column in found))


def _columns(fields: str) -> list[Column[Any]]:
    if fields == "*":
        return [column for column in stocks_stock.columns if column.name != "id"]
    names = [name.strip() for name in fields.split(",") if name.strip()] or LISTED
    return [_column(name) for name in dict.fromkeys(("ticker", *names))]


def _column(name: str) -> Column[Any]:
    """Return a column by its name: only these names ever become SQL."""
    if name == "id" or name not in stocks_stock.columns:
        raise Problem(422, "unknown_field", "stocks_stock has no such column; docs/sql.md lists them")
    return stocks_stock.c[name]


async def quote(request: Request, ticker: Annotated[TickerText, Path()]) -> Response:
    """Show every column of one ticker, with the age of each group of fields."""
    context = context_of(request)
    rows, _ = await context.database.read(lambda _: context.database.reader.quotes([ticker]))
    if not rows:
        raise Problem(404, "unknown_ticker", "no such ticker in the universe")
    return answer({key: value for key, value in rows[0].items() if key != "id"})


class HistoryQuery(PageQuery):
    since: date | None = Field(default=None, description="First session.")
    until: date | None = Field(default=None, description="Last session.")


async def history(
    request: Request, ticker: Annotated[TickerText, Path()], query: Annotated[HistoryQuery, Query()]
) -> Response:
    """List a ticker's daily bars, the newest first."""
    bar = stocks_daily_bar.c
    where = [bar.ticker == ticker]
    where += [bar.session_date >= query.since] if query.since else []
    where += [bar.session_date <= query.until] if query.until else []
    columns = [column for column in stocks_daily_bar.columns if column.name != "ticker"]
    listing = Listing(columns=columns, key=(bar.session_date,), falling=True, where=where)
    page = await context_of(request).database.read(
        lambda engine: read_page(engine, listing, limit=query.limit, cursor=query.cursor)
    )
    return tagged(request, page_answer(page, query.format))


class UniverseQuery(PageQuery):
    listed: bool | None = Field(default=None, description="Whether it is on the exchanges' lists now.")
    sector: Line = Field(default="", description="Only of this sector, as Yahoo names it.")
    search: Line = Field(default="", max_length=60, description="In the ticker or the company's name.")


async def universe(request: Request, query: Annotated[UniverseQuery, Query()]) -> Response:
    """List the tickers that are kept, with how many there are in all."""
    where = [stocks_stock.c.sector == query.sector] if query.sector else []
    where += [stocks_stock.c.is_listed == query.listed] if query.listed is not None else []
    where += [_contains(query.search)] if query.search else []
    listing = Listing(columns=[stocks_stock.c[name] for name in UNIVERSE], key=(TICKER,), where=where)

    def read(engine: Engine) -> Any:
        with engine.connect() as connection:
            counts = {"total": func.count(), "listed": func.count().filter(stocks_stock.c.is_listed)}
            row = connection.execute(select(*(count.label(name) for name, count in counts.items()))).mappings().one()
        return read_page(engine, listing, limit=query.limit, cursor=query.cursor), dict(row)

    page, counts = await context_of(request).database.read(read)
    return tagged(request, page_answer(page, query.format, counts))


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/quotes",
        handler=quotes,
        scope="read",
        tag="quotes",
        model=QUOTE_PAGE,
        query=QuoteQuery,
    ),
    Route(
        method="GET",
        path="/api/v1/quotes/{ticker}",
        handler=quote,
        scope="read",
        tag="quotes",
        model=QUOTE,
        problems=(404,),
    ),
    Route(
        method="GET",
        path="/api/v1/quotes/{ticker}/history",
        handler=history,
        scope="read",
        tag="quotes",
        model=BAR_PAGE,
    ),
    Route(
        method="GET",
        path="/api/v1/universe",
        aliases=("/api/scan/universe",),
        handler=universe,
        scope="read",
        tag="quotes",
        model=UNIVERSE_PAGE,
    ),
)
