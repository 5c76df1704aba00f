from __future__ import annotations

from pathlib import Path

import pytest

from tests.fix_cli import TIME, Run, times_in

# By hand from the exchange's calendar: UTC is 5 hours ahead of New York in winter, 4 in summer.
DAYS = {
    "2026-11-27": ("early", "2026-11-27T14:30:00.000Z", "2026-11-27T18:00:00.000Z", "day after Thanksgiving"),
    "2026-07-03": ("holiday", None, None, "Independence Day (observed)"),
    "2026-03-09": ("regular", "2026-03-09T13:30:00.000Z", "2026-03-09T20:00:00.000Z", ""),
    "2025-01-09": ("closed", None, None, "National Day of Mourning for Jimmy Carter"),
    "2026-11-28": ("weekend", None, None, "Saturday"),
}


@pytest.mark.parametrize("on", DAYS)
def test_a_day_has_its_kind_hours_and_reason(here: Run, on: str) -> None:
    document = here("plan", "--date", on, "--json").json()

    kind, opens, closes, reason = DAYS[on]
    assert document.keys() == {"version", "days"}
    (day,) = document["days"]
    assert day.keys() == {"session", "kind", "open", "close", "reason", "actions"}
    assert (day["session"], day["kind"], day["open"], day["close"], day["reason"]) == (on, kind, opens, closes, reason)
    assert all(action.keys() == {"at", "process", "action"} for action in day["actions"])
    assert all(TIME.fullmatch(text) for text in times_in(document))


def test_an_early_close_brings_everything_forward(here: Run) -> None:
    (day,) = here("plan", "--date", "2026-11-27", "--json").json()["days"]

    assert [(each["at"][11:19], each["process"], each["action"]) for each in day["actions"]] == [
        ("14:29:30", "prices", "start"),
        ("14:29:30", "metrics", "start"),
        ("18:05:00", "prices", "stop"),
        ("18:05:00", "metrics", "stop"),
        ("18:30:00", "daily", "start"),
    ]


@pytest.mark.parametrize(
    ("on", "text"),
    [
        (
            "2026-11-27",
            """\
Fri 2026-11-27  09:30:00 EST - 13:00:00 EST (early close: day after Thanksgiving)
    09:29:30 EST  start prices
    09:29:30 EST  start metrics
    13:05:00 EST  stop prices
    13:05:00 EST  stop metrics
    13:30:00 EST  start daily
""",
        ),
        ("2026-07-03", "Fri 2026-07-03  closed (Independence Day (observed))\n"),
        (
            "2026-03-09",
            """\
Mon 2026-03-09  09:30:00 EDT - 16:00:00 EDT
    09:29:30 EDT  start prices
    09:29:30 EDT  start metrics
    16:05:00 EDT  stop prices
    16:05:00 EDT  stop metrics
    16:30:00 EDT  start daily
""",
        ),
        ("2025-01-09", "Thu 2025-01-09  closed (National Day of Mourning for Jimmy Carter)\n"),
    ],
)
def test_a_day_in_words(here: Run, on: str, text: str) -> None:
    ended = here("plan", "--date", on)

    assert (ended.code, ended.out, ended.err) == (0, text, "")


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_date_beyond_the_known_rules_is_refused(here: Run, as_json: tuple[str, ...]) -> None:
    here("plan", "--date", "2038-07-01", *as_json).fails(78, "2038-07-01", "1970-01-01 to 2037-12-31")


def test_days_that_run_beyond_the_known_rules_are_refused_as_a_whole(here: Run) -> None:
    here("plan", "--date", "2037-12-30", "--days", "5").fails(78, "2038-01-01")


def test_a_text_that_is_no_date_is_wrong_usage(here: Run) -> None:
    here("plan", "--date", "2026-13-01").fails(2, "plan: --date: '2026-13-01' is no date; write it like 2026-11-27")


@pytest.mark.parametrize(
    ("words", "days"), [((), 5), (("--days", "3"), 3), (("--date", "2026-11-23", "--days", "366"), 366)]
)
def test_it_shows_as_many_days_as_asked_and_five_from_today(here: Run, words: tuple[str, ...], days: int) -> None:
    assert len(here("plan", "--json", *words).json()["days"]) == days


def test_what_is_disabled_is_not_planned(here: Run, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("[metrics]\nenabled = false\n[daily]\nenabled = false\n")

    (day,) = here("plan", "--date", "2026-11-23", "--json", "--config", "other.toml").json()["days"]

    assert {each["process"] for each in day["actions"]} == {"prices"}
