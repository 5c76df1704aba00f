from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from core.settings import Api, Backup, Daily, Market, Metrics, Prices, Proxies, Screener, Settings
from daemon.child import step
from daemon.lifecycle import Child, Moment, Stop, Want
from daemon.plan import DailyState, daily_session, days, limits_of, stall_limits, wanted
from market.eastern import DateOutOfRange
from market.sessions import Calendar, build_calendar


def no_file(path: Path) -> str:
    raise AssertionError(f"{path} was read")


def calendar_of(settings: Settings) -> Calendar:
    return build_calendar(settings.market, read=no_file)


SETTINGS = Settings()
XNYS = calendar_of(SETTINGS)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def who(text: str, *, settings: Settings = SETTINGS, daily: DailyState | None = None) -> set[str]:
    daily = daily or DailyState(done=date(2026, 11, 20))
    wants = wanted(calendar_of(settings), settings, utc(text), daily)
    return {name for name, want in wants.items() if want.wanted and name != "proxies"}


@pytest.mark.parametrize(
    ("at", "names"),
    [
        ("2026-11-23 14:29:29", {"recorder", "screener", "api"}),
        ("2026-11-23 14:29:30", {"recorder", "screener", "api", "prices", "metrics"}),
        ("2026-11-23 21:04:59", {"recorder", "screener", "api", "prices", "metrics"}),
        ("2026-11-23 21:05:00", {"recorder", "screener", "api"}),
        ("2026-11-23 21:30:00", {"recorder", "screener", "api", "daily"}),
        ("2026-11-22 15:00:00", {"recorder", "screener", "api"}),
    ],
)
def test_scanners_run_from_before_the_open_until_after_the_close(at: str, names: set[str]) -> None:
    assert who(at) == names


def test_daily_work_that_is_done_is_not_wanted_again_before_the_next_session() -> None:
    done = DailyState(done=date(2026, 11, 23))
    assert "daily" not in who("2026-11-24 12:00:00", daily=done)
    assert "daily" in who("2026-11-24 21:30:00", daily=done)


def test_after_a_start_on_sunday_the_refresh_of_friday_is_wanted_once() -> None:
    assert "daily" in who("2026-11-22 15:00:00", daily=DailyState())


def test_a_window_delays_the_start_of_daily_and_does_not_end_it() -> None:
    settings = Settings(daily=Daily(window="00:00-05:00"))
    at_2130, at_midnight, at_six = "2026-11-23 21:30:00", "2026-11-24 05:00:00", "2026-11-24 11:00:00"
    assert "daily" not in who(at_2130, settings=settings)
    assert "daily" in who(at_midnight, settings=settings)
    assert "daily" not in who(at_six, settings=settings)
    assert "daily" in who(at_six, settings=settings, daily=DailyState(active=True))


def test_a_window_may_span_midnight() -> None:
    settings = Settings(daily=Daily(window="22:00-05:00"))
    for at, is_wanted in (("24 02:59", False), ("24 03:00", True), ("24 09:59", True), ("24 10:00", False)):
        assert ("daily" in who(f"2026-11-{at}:00", settings=settings)) is is_wanted


def test_what_is_switched_off_is_not_wanted_and_says_so() -> None:
    settings = Settings(
        prices=Prices(enabled=False),
        metrics=Metrics(enabled=False),
        daily=Daily(enabled=False),
        screener=Screener(enabled=False),
        api=Api(enabled=False),
    )
    wants = wanted(XNYS, settings, utc("2026-11-23 15:00:00"), DailyState())
    assert [name for name, want in wants.items() if want.wanted] == ["recorder"]
    assert wants["prices"].reason == "disabled in the settings" and not wants["prices"].enabled


def test_a_waiting_scanner_says_until_when_and_names_the_session_that_is_over() -> None:
    wants = wanted(XNYS, SETTINGS, utc("2026-11-26 15:00:00"), DailyState(done=date(2026, 11, 25)))
    assert wants["prices"].reason == "market is closed until Friday 2026-11-27 09:30"
    assert wants["prices"].session == "2026-11-25"
    assert wants["daily"].reason == "due Friday 2026-11-27 13:30"


def test_an_endless_market_always_wants_its_scanners() -> None:
    settings = Settings(market=Market(calendar="always"))
    assert {"prices", "metrics"} <= who("2026-11-22 04:59:59", settings=settings)
    calendar = calendar_of(settings)
    due = daily_session(calendar, settings, utc("2026-11-22 21:30:00"))
    assert due is not None and due.session_date == date(2026, 11, 22)


def day_of(on: str) -> dict[str, object]:
    return days(XNYS, SETTINGS, date.fromisoformat(on), 1)[0]


def actions(on: str) -> list[str]:
    listed = msgspec.convert(day_of(on)["actions"], list[dict[str, str]])
    return [f"{each['at'][11:19]} {each['action']} {each['process']}" for each in listed]


def test_the_day_after_thanksgiving_2026_ends_at_one_and_its_refresh_is_half_an_hour_later() -> None:
    day = day_of("2026-11-27")
    assert (day["kind"], day["open"], day["close"]) == (
        "early",
        "2026-11-27T14:30:00.000Z",
        "2026-11-27T18:00:00.000Z",
    )
    assert actions("2026-11-27") == [
        "14:29:30 start prices",
        "14:29:30 start metrics",
        "18:05:00 stop prices",
        "18:05:00 stop metrics",
        "18:30:00 start daily",
    ]


def test_independence_day_2026_is_kept_on_friday_the_third() -> None:
    day = day_of("2026-07-03")
    assert (day["kind"], day["open"], day["close"], day["actions"]) == ("holiday", None, None, [])
    assert day["reason"] == "Independence Day (observed)"


def test_the_first_session_of_daylight_saving_opens_an_hour_earlier_in_utc() -> None:
    assert day_of("2026-03-06")["open"] == "2026-03-06T14:30:00.000Z"
    assert day_of("2026-03-09")["open"] == "2026-03-09T13:30:00.000Z"
    assert actions("2026-03-09")[-1] == "20:30:00 start daily"


def test_the_day_of_mourning_of_january_2025_is_closed() -> None:
    assert day_of("2025-01-09")["kind"] == "closed"
    assert day_of("2025-01-09")["actions"] == []


def test_a_date_after_the_known_rules_is_refused() -> None:
    with pytest.raises(DateOutOfRange):
        days(XNYS, SETTINGS, date(2038, 7, 1), 1)


def test_the_plan_of_an_endless_market_starts_only_the_daily_work() -> None:
    settings = Settings(market=Market(calendar="always"), daily=Daily(at="00:00"))
    planned = days(calendar_of(settings), settings, date(2026, 11, 22), 1)[0]
    assert planned["actions"] == [{"at": "2026-11-22T05:00:00.000Z", "process": "daily", "action": "start"}]


def test_data_is_judged_only_while_the_market_has_been_open_long_enough() -> None:
    assert stall_limits(XNYS, SETTINGS, utc("2026-11-23 14:33:00")) == {}
    assert stall_limits(XNYS, SETTINGS, utc("2026-11-23 14:33:01")) == {"prices": 180.0}
    assert stall_limits(XNYS, SETTINGS, utc("2026-11-23 21:00:00")) == {}


def test_a_backup_is_wanted_once_a_day_from_its_hour_on_and_only_where_it_is_enabled() -> None:
    enabled = Settings(backup=Backup(enabled=True, at="18:30"))
    due_at = utc("2026-11-23 23:30:00")  # 18:30 in New York
    for text, done, expected in (
        ("2026-11-23 23:29:59", due_at - timedelta(days=1), False),
        ("2026-11-23 23:30:00", due_at - timedelta(days=1), True),
        ("2026-11-24 12:00:00", None, True),  # the machine was off
        ("2026-11-24 12:00:00", due_at, False),
    ):
        wants = wanted(XNYS, enabled, utc(text), DailyState(), backup_done=done)
        assert wants["backup"].wanted is expected
    assert "backup" not in wanted(XNYS, SETTINGS, due_at, DailyState())


@pytest.mark.parametrize(
    ("settings", "proxy_file", "expected"),
    [
        (Settings(), False, True),  # lists are named
        (Settings(proxies=Proxies(sources=[])), False, False),
        (Settings(proxies=Proxies(sources=[])), True, True),
        (Settings(proxies=Proxies(sources=[], own=["http://192.0.2.7:8080"])), False, True),
        (Settings(metrics=Metrics(direct="only")), True, False),  # nobody would ask through it
        (Settings(metrics=Metrics(enabled=False)), True, False),
    ],
)
def test_a_pool_of_proxies_is_kept_at_any_hour_where_it_has_a_source_and_somebody_to_use_it(
    settings: Settings, proxy_file: bool, expected: bool
) -> None:
    for text in ("2026-11-23 15:00:00", "2026-11-22 15:00:00"):
        wants = wanted(XNYS, settings, utc(text), DailyState(), proxy_file=proxy_file)
        assert ("proxies" in wants and wants["proxies"].wanted) is expected


def test_warm_up_and_lingering_move_start_and_stop() -> None:
    settings = Settings(market=Market(warmup_s=600, linger_s=60))
    both = {"recorder", "screener", "api", "prices", "metrics"}
    for at, names in (
        ("14:19:59", {"recorder", "screener", "api"}),
        ("14:20:00", both),
        ("21:00:59", both),
        ("21:01:00", {"recorder", "screener", "api"}),
    ):
        assert who(f"2026-11-23 {at}", settings=settings) == names
    planned = msgspec.convert(days(XNYS, settings, date(2026, 11, 23), 1)[0]["actions"], list[dict[str, str]])
    assert [(each["at"][11:19], each["action"], each["process"]) for each in planned][:4] == [
        ("14:20:00", "start", "prices"),
        ("14:20:00", "start", "metrics"),
        ("21:01:00", "stop", "prices"),
        ("21:01:00", "stop", "metrics"),
    ]


CLOSED_MONDAY = """[[session]]
date = 2026-11-23
closed = true
reason = "inventory"
"""


def test_an_endless_market_rests_on_a_day_that_an_override_closes() -> None:
    settings = Settings(market=Market(calendar="always", overrides_file="days.toml"))
    calendar = build_calendar(settings.market, read=lambda path: CLOSED_MONDAY)
    for at, is_wanted in (
        ("2026-11-23 05:04:59", True),  # lingering
        ("2026-11-23 05:05:00", False),
        ("2026-11-24 04:59:29", False),
        ("2026-11-24 04:59:30", True),
    ):
        assert wanted(calendar, settings, utc(at), DailyState())["prices"].wanted is is_wanted
    planned = [
        f"{action['at'][:19]} {action['action']}"
        for day in days(calendar, settings, date(2026, 11, 22), 3)
        for action in msgspec.convert(day["actions"], list[dict[str, str]])
        if action["process"] == "prices"
    ]
    assert planned == ["2026-11-23T05:05:00 stop", "2026-11-24T04:59:30 start"]


def ends_of_a_stop(name: str, at: str, *, done: str) -> str:
    """Return the minute in which a stop at this time no longer holds; `done`: the last refresh that was made."""
    now, child = utc(at), Child(name=name)

    def feed(event: Want | Stop) -> None:
        nonlocal child
        child = step(child, event, Moment(now_s=now.timestamp(), limits=SETTINGS.supervisor, luck=0.5)).child

    def plan() -> Want:
        return wanted(XNYS, SETTINGS, now, DailyState(done=date.fromisoformat(done)))[name]

    feed(plan())
    feed(Stop())
    while child.held_session is not None:
        now += timedelta(minutes=1)
        feed(plan())
    return f"{now:%a %H:%M}"


@pytest.mark.parametrize(
    ("name", "at", "done", "until"),
    [
        ("prices", "2026-11-23 15:00", "2026-11-20", "Tue 14:30"),
        ("prices", "2026-11-23 22:00", "2026-11-23", "Tue 14:30"),  # after the close: not all of Tuesday too
        ("prices", "2026-11-27 19:00", "2026-11-27", "Mon 14:30"),
        ("recorder", "2026-11-23 22:00", "2026-11-23", "Tue 14:30"),
        ("daily", "2026-11-23 15:00", "2026-11-20", "Tue 21:30"),  # Monday's refresh is left out
        ("daily", "2026-11-23 22:00", "2026-11-23", "Tue 14:30"),
    ],
)
def test_a_manual_stop_lasts_until_the_next_session_begins(name: str, at: str, done: str, until: str) -> None:
    assert ends_of_a_stop(name, at, done=done) == until


def test_the_scan_engine_has_room_for_the_bars_of_the_whole_market() -> None:
    """Its bars are mapped files, and it was renewed in mid-scan by the limits that suit a scanner."""
    settings = Settings(screener=Screener(memory_soft_mb=1_500.0, memory_hard_mb=1_800.0))
    own, others = limits_of("screener", settings), limits_of("prices", settings)
    assert (own.memory_soft_mb, own.memory_hard_mb) == (1_500.0, 1_800.0)
    assert others == settings.supervisor
    assert own.stop_timeout_s == others.stop_timeout_s
