from __future__ import annotations

from sqlalchemy import Engine

from market.quotes import Quote
from market.universe import Listing
from storage.quotes import write_quotes
from storage.reader import read_quotes
from storage.universe import TickerRow, UniverseLoad, load_universe, read_tickers, unknown_tickers
from storage.writer import Writer
from tests.fix_storage import NOON


def test_new_tickers_are_added_and_known_ones_get_their_facts(writer: Writer, reader: Engine) -> None:
    loaded = load_universe(writer, [Listing(ticker="A", sector="Health"), Listing(ticker="NA"), Listing(ticker="B")])
    assert loaded == UniverseLoad(added=1, updated=1, unlisted=0)
    assert [row.ticker for row in read_tickers(reader)] == ["A", "B", "C", "NA"]
    rows, _ = read_quotes(reader, ["A"], at=NOON)
    assert rows[0]["sector"] == "Health"


def test_a_fact_that_a_listing_leaves_out_keeps_its_value(writer: Writer, reader: Engine) -> None:
    load_universe(writer, [Listing(ticker="A", sector="Health", company_name="Agilent")])
    load_universe(writer, [Listing(ticker="A", company_name="Agilent Inc.")])
    rows, _ = read_quotes(reader, ["A"], at=NOON)
    assert (rows[0]["sector"], rows[0]["company_name"]) == ("Health", "Agilent Inc.")


def test_loading_the_same_again_changes_nothing(writer: Writer) -> None:
    listings = [Listing(ticker="A", sector="Health"), Listing(ticker="D")]
    load_universe(writer, listings)
    assert load_universe(writer, listings) == UniverseLoad(added=0, updated=0, unlisted=0)


def test_only_a_complete_list_unlists_and_a_returning_ticker_is_listed_again(writer: Writer, reader: Engine) -> None:
    assert load_universe(writer, [Listing(ticker="A")]).unlisted == 0
    assert load_universe(writer, [Listing(ticker="A")], complete=True).unlisted == 2
    assert [row.ticker for row in read_tickers(reader)] == ["A"]
    assert load_universe(writer, [Listing(ticker="B")]) == UniverseLoad(added=0, updated=1, unlisted=0)
    assert [row.ticker for row in read_tickers(reader)] == ["A", "B"]


def test_the_dollar_volume_is_average_volume_times_price(writer: Writer, reader: Engine) -> None:
    load_universe(writer, [Listing(ticker="A", quote_type="EQUITY")])
    quotes = [Quote(ticker="A", current_price=2.5, price_time=NOON, avg_volume_3mon=1000)]
    write_quotes(writer, quotes, at=NOON, session_opens_at=None, session_closes_at=None)
    first, second, _ = read_tickers(reader)
    assert first == TickerRow(ticker="A", quote_type="EQUITY", dollar_volume_usd=2500.0)
    assert second == TickerRow(ticker="B", quote_type=None, dollar_volume_usd=None)


def test_tickers_come_in_the_order_of_their_characters(writer: Writer, reader: Engine) -> None:
    """A PostgreSQL database with a language's collation would put BRK-B behind BRKA."""
    load_universe(writer, [Listing(ticker=ticker) for ticker in ("BRKA", "BRK-B", "BR")])
    assert [row.ticker for row in read_tickers(reader)] == ["A", "B", "BR", "BRK-B", "BRKA", "C"]


def test_tickers_without_a_row_are_found(writer: Writer) -> None:
    assert writer.run(lambda tx: unknown_tickers(tx, ["A", "X", "Y"]), source="test") == {"X", "Y"}
