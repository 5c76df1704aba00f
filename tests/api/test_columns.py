from __future__ import annotations

import json
from datetime import UTC, date, datetime

from api.columns import csv_bytes, ndjson_bytes, page_answer
from api.sql import Page

AT = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
PAGE = Page(names=("ticker", "price", "at"), rows=[("A", 1.5, AT), ("B", None, None)], next="more")


def test_a_page_is_rows_or_one_array_a_column() -> None:
    assert json.loads(bytes(page_answer(PAGE, "json", {"total": 2}).body)) == {
        "data": [
            {"ticker": "A", "price": 1.5, "at": "2026-11-23T14:30:00.000Z"},
            {"ticker": "B", "price": None, "at": None},
        ],
        "next": "more",
        "total": 2,
    }
    columns = json.loads(bytes(page_answer(PAGE, "columnar").body))["columns"]
    assert columns == {"ticker": ["A", "B"], "price": [1.5, None], "at": ["2026-11-23T14:30:00.000Z", None]}
    assert json.loads(bytes(page_answer(Page(names=("a",), rows=[], next=None), "columnar").body))["columns"] == {
        "a": []
    }


def test_lines_have_the_cursor_in_a_header() -> None:
    response = page_answer(PAGE, "ndjson")
    assert response.headers["x-next-cursor"] == "more"
    assert response.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["ticker"] for line in ndjson_bytes(PAGE).splitlines()] == ["A", "B"]
    assert "x-next-cursor" not in page_answer(Page(names=(), rows=[], next=None), "ndjson").headers


def test_csv_has_a_heading_and_an_empty_field_for_what_is_not_known() -> None:
    assert page_answer(PAGE, "csv").headers["content-type"] == "text/csv; charset=utf-8"
    assert csv_bytes(PAGE).decode() == "ticker,price,at\nA,1.5,2026-11-23T14:30:00.000Z\nB,,\n"


def test_a_cell_that_a_spreadsheet_would_compute_is_quoted_and_a_number_is_not() -> None:
    texts = ("=1+1", "+1", "-cmd", "@x", "\tx", "a=b")
    page = Page(names=("text", "number"), rows=[(text, -1.5) for text in texts], next=None)
    cells = [line.split(",")[0] for line in csv_bytes(page).decode().splitlines()[1:]]
    assert cells == ["'=1+1", "'+1", "'-cmd", "'@x", "'\tx", "a=b"]
    assert csv_bytes(page).decode().splitlines()[1].endswith(",-1.5")


def test_dates_and_lists_have_a_form_in_csv() -> None:
    page = Page(names=("on", "list"), rows=[(date(2026, 11, 23), ["a"])], next=None)
    assert csv_bytes(page).decode().splitlines()[1] == '2026-11-23,"[""a""]"'
