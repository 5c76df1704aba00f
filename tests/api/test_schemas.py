from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from api.schemas import QUOTE, QUOTE_COLUMNS, TIME_COLUMNS, Line, PageQuery, RowId, ScanId, TickerText, row_model
from storage.schema import stocks_stock


def test_a_rows_shape_has_every_column_of_its_table() -> None:
    assert set(QUOTE.model_fields) == {*stocks_stock.columns.keys(), "price_age_s", "metrics_age_s", "daily_age_s"}
    some = row_model("Some", stocks_stock, ("ticker", "volume"))
    assert some(ticker="A", volume=None).model_dump() == {"ticker": "A", "volume": None}
    assert set(QUOTE_COLUMNS) | set(TIME_COLUMNS) <= set(stocks_stock.columns.keys())


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Line, ["", "a b", "ä"], ["a\nb", "a\x00", "x" * 201, "\x7f"]),
        (ScanId, ["scan_20261123_143000_a1b2c3d4", "x"], ["", "a/b", "a.b", "x" * 65, "a\n"]),
        (RowId, [1, 2**63 - 1], [0, -1, 2**63, 1.5, "one"]),
        (TickerText, ["AAPL", "brk.b"], ["", "A'", "TOO_LONG", "A" * 17, "1"]),
    ],
)
def test_what_comes_from_outside_has_a_form(kind: Any, good: list[object], bad: list[object]) -> None:
    adapter: TypeAdapter[object] = TypeAdapter(kind)
    for value in good:
        adapter.validate_python(value)
    for value in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


def test_a_ticker_comes_in_the_tables_form() -> None:
    assert TypeAdapter(TickerText).validate_python("brk.b") == "BRK-B"


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"format": "xml"}, {"page": 2}])
def test_a_page_has_bounds(query: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PageQuery.model_validate(query)
