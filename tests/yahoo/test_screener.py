from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.listings import Sighting
from market.universe import Listing
from yahoo.quote import BadAnswer
from yahoo.screener import body_of, parse_page

ANSWERS = Path(__file__).parents[1] / "data" / "yahoo_answers.jsonl"
ROW = {"symbol": "BRK-B", "longName": "Berkshire Hathaway Inc.", "exchange": "NYQ", "quoteType": "EQUITY"}


def page(*rows: Any, total: int = 2) -> bytes:
    return json.dumps({"finance": {"result": [{"total": total, "quotes": list(rows)}], "error": None}}).encode()


def test_a_page_is_asked_for_by_its_first_row_in_order_of_the_ticker() -> None:
    asked = json.loads(body_of("ETF", offset=500))
    assert {key: asked[key] for key in ("offset", "size", "sortField", "sortType", "quoteType")} == {
        "offset": 500,
        "size": 250,
        "sortField": "ticker",
        "sortType": "ASC",
        "quoteType": "ETF",
    }
    region, exchanges = asked["query"]["operands"]
    assert region == {"operator": "eq", "operands": ["region", "us"]}
    assert exchanges["operands"] == ["exchange", "ASE", "BTS", "NCM", "NGM", "NMS", "NYQ", "PCX"]


def test_a_row_is_a_listing_with_its_price() -> None:
    found = parse_page(page(ROW | {"regularMarketPrice": 490.5}))
    listing = Listing(
        ticker="BRK-B",
        company_name="Berkshire Hathaway Inc.",
        exchange="NYQ",
        quote_type="EQUITY",
        security_type=None,
    )
    assert (found.total, found.rows, found.sightings) == (2, 1, (Sighting(listing=listing, price=490.5),))


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"symbol": "ABR-PD"}, "Preferred"),
        ({"quoteType": "ETF"}, "ETF"),
        ({"longName": None, "shortName": "Some Acquisition Corp. - Warrant"}, "Warrant"),
        ({"symbol": "HBANP"}, None),
    ],
)
def test_the_type_is_told_only_where_ticker_or_name_says_it(said: dict[str, Any], kind: str | None) -> None:
    """Of HBANP's preferred shares Yahoo's name is the company's."""
    (sighting,) = parse_page(page(ROW | said)).sightings
    assert sighting.listing.security_type == kind


@pytest.mark.parametrize(
    "wrong", [{"symbol": "EGRNF", "exchange": "PNK"}, {"symbol": "^GSPC"}, {"symbol": "brk.b"}, {"exchange": None}]
)
def test_a_row_that_is_no_us_listing_is_refused_by_its_symbol(wrong: dict[str, Any]) -> None:
    found = parse_page(page(ROW, ROW | wrong))
    assert (len(found.sightings), found.rows, found.refused) == (1, 2, ((ROW | wrong)["symbol"],))


@pytest.mark.parametrize("price", [None, 0, -1, "12", "Infinity"])
def test_a_price_that_is_none_is_not_known(price: Any) -> None:
    (sighting,) = parse_page(page(ROW | {"regularMarketPrice": price})).sightings
    assert sighting.price is None


def test_recorded_pages_are_read_row_by_row() -> None:
    answers = [json.loads(line) for line in ANSWERS.read_text(encoding="utf-8").splitlines()]
    pages = [each for each in answers if each["kind"] == "screener"]
    assert len(pages) == 2
    for each in pages:
        rows = each["body"]["finance"]["result"][0]["quotes"]
        found = parse_page(json.dumps(each["body"]).encode())
        told = {row["symbol"]: row["regularMarketPrice"] for row in rows if row["exchange"] != "PNK"}
        assert {sighting.listing.ticker: sighting.price for sighting in found.sightings} == told
        assert set(found.refused) == {row["symbol"] for row in rows if row["exchange"] == "PNK"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"finance": {"result": null}}',
        b'{"finance": {"result": [{"total": 1}]}}',
        page(7),
    ],
)
def test_another_document_is_refused(body: bytes) -> None:
    with pytest.raises(BadAnswer, match="not a screener document"):
        parse_page(body)


@given(st.integers(min_value=0, max_value=150))
def test_a_page_that_was_cut_is_refused(size: int) -> None:
    whole = page(ROW | {"regularMarketPrice": 1.5})
    with pytest.raises(BadAnswer):
        parse_page(whole[: min(size, len(whole) - 1)])
