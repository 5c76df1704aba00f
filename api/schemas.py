"""The shapes of answers and of what is asked, for OpenAPI and for checking. Reads nothing and decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, create_model
from sqlalchemy import JSON, Boolean, Date, Float, Integer, Table, Text
from sqlalchemy import BigInteger as Whole

from core.errors import TickerdError
from market.tickers import normalise_ticker
from storage.schema import (
    LARGEST_WHOLE,
    Given,
    UtcTime,
    proxy,
    scanner_event,
    scanner_run,
    scans,
    signals,
    stocks_daily_bar,
    stocks_stock,
    truth_audit,
    truth_finding,
)

PAGE_ROWS = 1000
Line = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Text without control characters: PostgreSQL refuses a NUL, a log line end would forge a line."""


def ticker_of(text: str) -> str:
    """Return a ticker in the form of the table; ValueError says what form it has."""
    try:
        return normalise_ticker(text)
    except TickerdError as error:
        raise ValueError(str(error)) from error


TickerText = Annotated[
    str, StringConstraints(min_length=1, max_length=16, pattern=r"^[A-Za-z0-9.^=\-]+$"), AfterValidator(ticker_of)
]
ScanId = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_\-]+$")]
RowId = Annotated[int, Field(ge=1, le=LARGEST_WHOLE)]
Format = Literal["json", "csv", "ndjson", "columnar"]


class Asked(BaseModel):
    """What comes from outside: nothing unknown, no number that is none."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class PageQuery(Asked):
    limit: int = Field(default=100, ge=1, le=PAGE_ROWS, description="Rows of one page.")
    cursor: Line = Field(default="", description="`next` of the page before.")
    format: Format = Field(default="json", description="json, csv, ndjson or columnar (one array a column).")


class ProblemBody(BaseModel):
    """RFC 9457. `code` is for programs and never changes; `errors` names what is wrong, field by field."""

    model_config = ConfigDict(extra="allow", title="Problem")
    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None


KINDS: tuple[tuple[type, Any], ...] = (
    (UtcTime, datetime),
    (Date, date),
    (Boolean, bool),
    (Float, float),
    (Integer, int),
    (Whole, int),
    (JSON, Any),
    (Given, Any),
    (Text, str),
)


def row_model(name: str, table: Table, columns: Sequence[str] = (), **more: Any) -> type[BaseModel]:
    """Return the shape of a table's row, or of these columns of it; any value may be null, any column left out."""
    wanted = columns or table.columns.keys()
    fields: dict[str, Any] = {column: (_kind(table.c[column].type) | None, None) for column in wanted}
    return create_model(name, **(fields | more))


def _kind(column_type: Any) -> Any:
    return next(kind for known, kind in KINDS if isinstance(column_type, known))


class Columnar(BaseModel):
    """A page with `format=columnar`."""

    model_config = ConfigDict(extra="allow")
    columns: dict[str, list[Any]]
    next: str | None


def page_model(row: Any, name: str, **more: Any) -> Any:
    """Return the shape of a page: `next` is null on the last one."""
    fields: dict[str, Any] = {"data": (list[row], ...), "next": (str | None, ...)}
    return create_model(name, **(fields | more)) | Columnar


QUOTE_COLUMNS = (
    "ticker",
    "company_name",
    "exchange",
    "sector",
    "current_price",
    "price_change",
    "price_change_percent",
    "price_time",
    "pre_market_price",
    "post_market_price",
    "volume",
    "days_low",
    "days_high",
    "open_price",
    "previous_close",
    "bid_price",
    "ask_price",
    "week_52_low",
    "week_52_high",
    "avg_volume_3mon",
    "market_cap",
    "pe_ratio",
    "dividend_yield",
    "earnings_per_share",
    "book_value",
    "next_earnings_date",
    "change_seq",
)
"""Of a quote in a list, the times of TIME_COLUMNS beside them; `fields=*` gives every column."""
TIME_COLUMNS = ("price_updated_at", "metrics_updated_at", "daily_updated_at", "last_updated")
"""What changes when a row is only confirmed."""

AGE = (float | None, None)
QUOTE = row_model("Quote", stocks_stock, price_age_s=AGE, metrics_age_s=AGE, daily_age_s=AGE)
QUOTE_PAGE = page_model(row_model("QuoteRow", stocks_stock), "QuotePage", unknown=(list[str] | None, None))
BAR_PAGE = page_model(row_model("Bar", stocks_daily_bar), "BarPage")
UNIVERSE_PAGE = page_model(row_model("Listing", stocks_stock), "UniversePage", total=(int, ...), listed=(int, ...))
PROXY_PAGE = page_model(row_model("Proxy", proxy), "ProxyPage", counts=(dict[str, int], ...))
AUDIT_PAGE = page_model(row_model("Audit", truth_audit), "AuditPage")
FINDING_PAGE = page_model(row_model("Finding", truth_finding), "FindingPage")
RUN_PAGE = page_model(row_model("Run", scanner_run), "RunPage")
EVENT_PAGE = page_model(row_model("Event", scanner_event), "EventPage")
SIGNAL = row_model("Signal", signals)
SIGNAL_PAGE = page_model(SIGNAL, "SignalPage")
SCAN = row_model("Scan", scans)
SCAN_PAGE = page_model(SCAN, "ScanPage")

AnyObject = dict[str, Any]


class Alive(BaseModel):
    status: Literal["ok"]


class PartHealth(BaseModel):
    ok: bool
    reason: str | None
    state: str | None = None


class Health(BaseModel):
    status: Literal["healthy", "degraded"]
    at: datetime
    tickers: int
    database: PartHealth
    orchestrator: PartHealth


class MarketState(BaseModel):
    session: date | None
    state: Literal["open", "closed"]
    opens_at: datetime | None
    closes_at: datetime | None
    reason: str | None


class NextChange(BaseModel):
    at: datetime
    to: Literal["open", "closed"]


class MarketNow(BaseModel):
    at: datetime
    market: MarketState
    next_change: NextChange | None


class Coverage(BaseModel):
    at: datetime
    groups: dict[str, AnyObject]
    days: list[AnyObject] | None = None


class HeatMap(BaseModel):
    at: datetime
    columns: dict[str, list[Any]]


class Rows(BaseModel):
    """A list that comes whole."""

    data: list[AnyObject]


class Document(BaseModel):
    """An object whose keys docs/api.md describes."""

    model_config = ConfigDict(extra="allow")


class ScanStarted(BaseModel):
    model_config = ConfigDict(extra="allow")
    scan_id: str
    status: str
    success: bool
    message: str
    progress_url: str
    websocket_url: str
    sse_url: str
    results_url: str
    stats_url: str
    urls: dict[str, str]
    features: dict[str, bool]


class Progress(BaseModel):
    model_config = ConfigDict(extra="allow")
    scan_id: str
    status: str
    current_stage: str
    stages: dict[str, AnyObject]
    overall_progress: float
    overall_eta: float | None
    overall_eta_formatted: str
    stage_progress: float
    stage_eta: float | None
    stage_eta_formatted: str
    stage_throughput: float
    message: str
    progress_percent: float


class ScanResults(BaseModel):
    """`results` in place of `data` on the older paths."""

    model_config = ConfigDict(extra="allow")
    scan_id: str
    status: str
    next: str | None


class Done(BaseModel):
    """`done`: whether there was anything to do."""

    model_config = ConfigDict(extra="allow")
    done: bool
