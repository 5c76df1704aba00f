"""The dashboard in a real browser, against the API as it is shipped."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from core.clock import SystemClock
from core.files import make_folder
from daemon.control import ControlServer
from storage import scans
from storage.daily_bars import DailyBar, write_daily_bars
from storage.schema import stocks_stock
from storage.writer import Transaction
from tests.fix_api import PASSWORD, RunningApi, ScanRun, new_folder, result_row, served, settings_of, with_own_password
from tests.fix_browser import PATIENCE_MS

Open = Callable[..., Page]
FAILED = scans.Ended(status="failed", values={}, results=[], errors=[])
PARTS = ("", "scans", "signals", "proxies", "activity", "ticker/AAPL")

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def open_api(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """A server that asks nobody to sign in."""
    folder = new_folder(sqlite_template, tmp_path_factory.mktemp("open"))
    with served(settings_of(folder, auth=False), folder) as found:
        yield found


def at(api: RunningApi, path: str = "") -> str:
    return f"http://localhost:{api.port}/#/{path}"


def test_the_first_admin_chooses_a_password_and_signs_out_and_in_again(
    open_page: Open, sqlite_template: Path, tmp_path: Path
) -> None:
    folder = new_folder(sqlite_template, tmp_path)
    with served(settings_of(folder), folder) as api:
        first = (folder / "state" / "admin_password").read_text().strip()
        page = open_page()
        page.goto(at(api))
        page.get_by_label("Name or e-mail").fill("admin")
        page.get_by_label("Password").fill("a wrong one")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).not_to_be_empty()
        page.get_by_label("Password").fill(first)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("One-time password").fill(first)
        page.get_by_label("New password").fill(PASSWORD)
        page.get_by_label("Once more").fill(PASSWORD)
        page.get_by_role("button", name="Set it").click()
        expect(page.get_by_role("heading", name="How fresh the table is")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Name or e-mail").fill("admin")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="How fresh the table is")).to_be_visible()


def test_without_an_orchestrator_it_says_so_and_shows_the_rest(open_page: Open, open_api: RunningApi) -> None:
    page = open_page()
    page.goto(at(open_api))
    expect(page.get_by_text("The orchestrator does not answer.", exact=True)).to_be_visible()
    expect(page.get_by_text("3 not confirmed").first).to_be_visible()
    expect(page.get_by_role("img", name="age of the price: 3 never")).to_be_visible()


def test_a_scan_is_asked_for_and_its_results_come_while_it_runs(open_page: Open, open_api: RunningApi) -> None:
    page = open_page()
    page.goto(at(open_api, "scans"))
    field = page.get_by_label("Find tickers of which this holds")
    field.fill("rsi_14 < 30")
    page.get_by_role("button", name="Scan", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("rsi14")
    field.fill("rsi14 < 30")
    page.get_by_role("button", name="Scan", exact=True).click()
    page.wait_for_url(re.compile("/#/scans/scan_"))
    run = ScanRun(open_api, page.url.rsplit("/", 1)[1])
    expect(page.get_by_text("Waiting for the scan engine")).to_be_visible()
    tell(run, 1, 2, percent=40.0)
    expect(page.get_by_text("40.0 %")).to_be_visible()
    expect(page.get_by_role("link", name="T2")).to_be_visible()
    tell(run, 3, percent=80.0)
    run.end()
    expect(page.get_by_role("link", name="T3")).to_be_visible()
    expect(page.get_by_text("100.0 %")).to_be_visible()


def tell(run: ScanRun, *seqs: int, percent: float) -> None:
    """Find results, and tell the whole progress as the scan engine does."""
    told = run.api.ask("GET", f"/api/v1/scans/{run.scan_id}/progress").json | {"overall_progress": percent}
    fresh = [result_row(f"T{seq}", seq) for seq in seqs]
    run.found += fresh
    run.write(lambda writer: scans.note_progress(writer, run.scan_id, told, fresh))


def test_a_ticker_shows_its_chart_and_the_age_of_each_group(open_page: Open, open_api: RunningApi) -> None:
    bars = [
        DailyBar(
            ticker="AAPL",
            session_date=day,
            open=10.0,
            high=12.0,
            low=9.0,
            close=11.0,
            adj_close=None,
            volume=5,
            source="chart",
        )
        for day in (SystemClock().utc_now().date(),)
    ]
    open_api.do(open_api.context.database.write(lambda writer: write_daily_bars(writer, bars)))
    page = open_page()
    page.goto(at(open_api))
    expect(page.get_by_label("Ticker or company")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("aapl")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="AAPL")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("last close 11.00"))).to_be_visible()
    expect(page.locator(".chart canvas").first).to_be_visible()
    expect(page.get_by_text("never told").first).to_be_visible()


def test_a_lost_connection_is_said_and_the_page_comes_back_by_itself(
    open_page: Open, sqlite_template: Path, tmp_path: Path
) -> None:
    folder = new_folder(sqlite_template, tmp_path)
    page = open_page()
    with served(settings_of(folder, auth=False), folder) as api:
        page.goto(at(api))
        expect(page.get_by_role("heading", name="Every ticker")).to_be_visible()
        expect(page.get_by_text("The orchestrator does not answer.", exact=True)).to_be_visible()
        port = api.port
    expect(page.get_by_text("Connection lost since")).to_be_visible()
    with served(settings_of(folder, auth=False, port=port), folder):
        expect(page.get_by_text("Connection lost since")).not_to_be_visible()


def test_an_address_that_somebody_has_mistyped_shows_a_page_all_the_same(open_page: Open, open_api: RunningApi) -> None:
    page, sent = open_page(), list[str]()
    page.on("websocket", lambda socket: socket.on("framesent", lambda text: sent.append(str(text))))
    page.goto(at(open_api, "%zz"))
    expect(page.get_by_role("heading", name="How fresh the table is")).to_be_visible()
    for part, words in (
        ("ticker/%zz", "path.ticker"),
        ("ticker/NOSUCH", "form of a US ticker"),
        ("scans/%zz", "scan_id"),
    ):
        page.goto(at(open_api, part))
        expect(page.get_by_text(words)).to_be_visible()
    assert sent and not any("zz" in text or "NOSUCH" in text for text in sent), "that would end the stream"


def test_a_quote_moves_while_one_looks_at_it(open_page: Open, open_api: RunningApi) -> None:
    page = open_page()
    page.goto(at(open_api, "ticker/MSFT"))
    for price_usd in (412.5, 413.25):

        def trade(tx: Transaction, price_usd: float = price_usd) -> None:
            row = update(stocks_stock).where(stocks_stock.c.ticker == "MSFT")
            tx.connection.execute(row.values(current_price=price_usd, change_seq=tx.seq))
            tx.wrote(1)

        open_api.do(open_api.context.database.write(lambda writer: writer.run(trade, source="prices")))
        expect(page.locator(".price b")).to_have_text(f"{price_usd:.2f}")


def test_a_scanner_is_restarted_and_its_card_says_how_far_that_is(
    open_page: Open, sqlite_template: Path, tmp_path: Path
) -> None:
    folder, orders = new_folder(sqlite_template, tmp_path), list[str]()
    prices = {"name": "prices", "state": "running", "wanted": True, "reason": "", "since": "2026-11-20T14:30:00.000Z"}
    prices |= {"pid": 7, "restarts": 0, "rss_mb": 80.0, "cpu_percent": 1.0, "data_age_s": 0.5, "beat_age_s": 0.5}

    def status(_name: str) -> dict[str, Any]:
        market = {"state": "open", "session": "2026-11-20", "opens_at": None, "closes_at": None, "reason": ""}
        return {"state": "running", "market": market, "alerts": [], "processes": [dict(prices)]}

    def restart(name: str) -> dict[str, Any]:
        orders.append(name)
        prices["state"] = "starting"
        return {"name": name, "state": "stopping", "reason": "operator"}

    with served(settings_of(folder, auth=False), folder) as api:
        control = ControlServer(make_folder(folder / "state"), {"status": status, "restart": restart})
        api.do(control.start())
        page = open_page()
        page.goto(at(api))
        card = page.get_by_role("article").filter(has_text="Prices")
        expect(card.locator(".pill")).to_have_text("running")
        card.get_by_role("button", name="Restart").click()
        expect(card.locator(".pill")).to_have_text("starting")
        prices["state"] = "running"
        expect(card.locator(".pill")).to_have_text("running")
        api.do(control.close())
    assert orders == ["prices"]


@pytest.mark.parametrize("dark", [False, True])
def test_every_part_fits_a_phone(open_page: Open, open_api: RunningApi, dark: bool) -> None:
    page = open_page(width=360, height=760, dark=dark)
    for part in PARTS:
        page.goto(at(open_api, part))
        expect(page.locator("main .panel").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, part


def test_who_may_only_read_is_offered_nothing_to_change(open_page: Open, sqlite_template: Path, tmp_path: Path) -> None:
    folder = new_folder(sqlite_template, tmp_path)
    with served(settings_of(folder), folder) as api:
        with_own_password(api)
        made = api.ask("POST", "/api/v1/users", {"name": "ann", "role": "viewer"}).json
        page = open_page()
        page.goto(at(api))
        page.get_by_label("Name or e-mail").fill("ann")
        page.get_by_label("Password").fill(made["password"])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("One-time password").fill(made["password"])
        page.get_by_label("New password").fill("a quiet river 9")
        page.get_by_label("Once more").fill("a quiet river 9")
        page.get_by_role("button", name="Set it").click()
        expect(page.get_by_role("heading", name="How fresh the table is")).to_be_visible()
        assert page.get_by_role("button", name="Stop").count() == 0
        page.goto(at(api, "scans"))
        expect(page.get_by_role("heading", name="Scans", exact=True)).to_be_visible()
        assert page.get_by_role("button", name="Scan", exact=True).count() == 0


def test_a_stream_that_never_came_is_told_as_one_that_was_lost(
    open_page: Open, sqlite_template: Path, tmp_path: Path
) -> None:
    folder = new_folder(sqlite_template, tmp_path)
    with served(settings_of(folder, auth=False, max_streams_per_user=1), folder) as api:
        page = open_page()
        with api.socket("/ws/signals"):
            page.goto(at(api))
            expect(page.get_by_text("Connection lost since")).to_be_visible()
        expect(page.get_by_text("Connection lost since")).to_be_hidden()


def test_a_page_that_has_seen_many_scans_goes_on(open_page: Open, open_api: RunningApi) -> None:
    page, sent = open_page(), []
    page.on("websocket", lambda socket: socket.on("framesent", lambda text: sent.append(str(text))))
    for number in range(2):
        run = ScanRun(open_api, f"scan_seen_{number}").begin()
        tell(run, 1, percent=10.0)
        run.end()
        page.goto(at(open_api, f"scans/{run.scan_id}"))
        expect(page.get_by_role("link", name="T1")).to_be_visible()
    subscribed = [text for text in sent if "scan_seen_1" in text]
    assert subscribed and not any("scan_seen_0" in text for text in subscribed)


def test_a_scan_that_failed_does_not_say_that_nothing_fits(open_page: Open, open_api: RunningApi) -> None:
    run = ScanRun(open_api, "scan_failed").begin()
    run.write(lambda writer: scans.end(writer, run.scan_id, FAILED, at=SystemClock().utc_now()))
    page = open_page()
    page.goto(at(open_api, f"scans/{run.scan_id}"))
    expect(page.get_by_text("Nothing was found before it ended.")).to_be_visible()
