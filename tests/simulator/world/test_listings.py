from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import FixByHand
from simulator.world import listings


def test_the_bundled_listings_have_a_price_each_and_real_tickers_that_look_like_no_value() -> None:
    bundled = {listing.symbol: listing for listing in listings.bundled()}

    assert len(bundled) == 11_817
    assert {"NA", "NAN"} <= bundled.keys()
    assert all(listing.price > 0 for listing in bundled.values())


def test_a_bundled_share_starts_at_the_exchange_list_s_last_price() -> None:
    listing = next(each for each in listings.bundled() if each.symbol == "A")

    # universe row of 2026-08-21: A, 159.00, +2.70, 2730251 shares
    assert (listing.price, listing.change, listing.daily_volume) == (159.0, 2.7, 2_730_251)
    assert (listing.exchange, listing.kind, listing.market_cap_usd) == ("NYQ", "Common", 44_906_679_096)


def test_an_etf_without_a_price_gets_the_same_one_at_each_start() -> None:
    first, second = (listings.invented("AAA", name="AAA") for _ in range(2))

    assert first == second
    assert 8 <= first.price <= 120


def test_a_file_gives_its_tickers_once_each_known_or_not(tmp_path: Path) -> None:
    file = tmp_path / "tickers.txt"
    file.write_text("# mine\nAAPL\n\nNEWCO\nAAPL\n")

    chosen = listings.from_file(file)

    assert [listing.symbol for listing in chosen] == ["AAPL", "NEWCO"]
    assert chosen[0].exchange == "NMS"


@pytest.mark.parametrize("text", ["", "# nothing\n", "AAPL\nA B\n", "AAPL,MSFT\n", "ÄPFEL\n"])
def test_a_file_without_one_ticker_a_line_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tickers.txt"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(FixByHand, match=r"tickers\.txt: .*; give one ticker a line") as refused:
        listings.from_file(file)
    assert "\n" not in str(refused.value)


def test_the_canary_is_the_pair_that_trades_day_and_night() -> None:
    assert listings.canary().symbol == "BTC-USD"
