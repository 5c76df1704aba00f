from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from storage.prices import PriceRow, flush_prices
from storage.reader import read_origin, read_quotes
from storage.schema import stocks_stock
from storage.writer import Writer
from tests.fix_storage import NOON, OPENS_AT, StillClock


def test_quotes_come_in_the_order_asked_with_the_unknown_apart(writer: Writer, reader: Engine) -> None:
    rows, unknown = read_quotes(reader, ["C", "ZZZ", "A", "C"], at=NOON)
    assert [row["ticker"] for row in rows] == ["C", "A"]
    assert unknown == ["ZZZ"]


def test_a_quote_has_every_column_and_the_three_ages(writer: Writer, reader: Engine) -> None:
    row = PriceRow(ticker="A", price_usd=2.0, price_time=OPENS_AT)
    flush_prices(writer, [row], price_source="stream", session_opens_at=OPENS_AT)
    rows, _ = read_quotes(reader, ["A"], at=NOON + timedelta(seconds=2.5))
    assert set(rows[0]) == {*stocks_stock.columns.keys(), "price_age_s", "metrics_age_s", "daily_age_s"}
    assert (rows[0]["price_age_s"], rows[0]["metrics_age_s"], rows[0]["daily_age_s"]) == (2.5, None, None)


def test_many_tickers_can_be_asked_at_once(writer: Writer, reader: Engine) -> None:
    asked = [f"T{number}" for number in range(1200)]
    rows, unknown = read_quotes(reader, [*asked, "B"], at=NOON)
    assert [row["ticker"] for row in rows] == ["B"]
    assert unknown == asked


def test_the_origin_is_unknown_until_the_first_write(
    database_url: str, reader: Engine, still_clock: StillClock
) -> None:
    assert read_origin(reader) is None
    with Writer.open(database_url, service="test", origin="live", clock=still_clock) as live:
        live.run(lambda _: None, source="prices")
    assert read_origin(reader) == "live"
