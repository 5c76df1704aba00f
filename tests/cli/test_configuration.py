from __future__ import annotations

from pathlib import Path

import pytest

from core.config import all_keys
from tests.fix_cli import Run

BAD = {
    "unknown key": ("[prices]\nenabeld = true\n", "prices.enabeld: unknown key", 'did you mean "prices.enabled"?'),
    "unknown section": ("[price]\nenabled = true\n", "price: unknown section", 'did you mean "prices"?'),
    "wrong type": ('[metrics]\nconcurrency = "many"\n', "metrics.concurrency", "give a whole number of at least 1"),
    "bad time": ('[market]\nopen = "25:00"\n', "market.open: '25:00' has the wrong form", "a time like 09:30"),
    "bad calendar": ('[market]\ncalendar = "MOON"\n', "market.calendar: 'MOON'", '"XNYS", "always" or "file:PATH"'),
    "absent calendar": ('[market]\ncalendar = "file:days.csv"\n', "days.csv", "cannot be read"),
    "bad database URL": ('[database]\nurl = "mysql://x"\n', "database.url", "sqlite:///FILE"),
    "bad stream URL": ('[prices]\nstream_url = "http://x"\n', "prices.stream_url", 'a "wss://" address'),
    "bad proxy URL": ('[network]\nproxy = "socks5://x"\n', "network.proxy", "http://HOST:PORT"),
    "no TOML": ("[prices\n", "config.toml: not TOML", "mend that line"),
    "reserved": ("[redis]\nurl = 1\n", "redis: is reserved", "remove its keys"),
    "negative": ("[prices]\ncycle_s = -1\n", "prices.cycle_s", "give a number above 0"),
}
"""By hand: what a person gets wrong, and the words that must come back. `tickerd run` is held to the same list."""


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_in_the_file_is_one_line_with_file_key_reason_and_what_is_right(
    here: Run, tmp_path: Path, name: str
) -> None:
    text, *words = BAD[name]
    (tmp_path / "config.toml").write_text(text)

    for as_json in ((), ("--json",)):
        here("config", "check", *as_json).fails(78, str(tmp_path), "; ", *words)


def test_a_file_that_is_named_but_absent_is_said(here: Run) -> None:
    here("config", "check", "--config", "nowhere.toml").fails(78, "nowhere.toml: cannot be read")


def test_the_environment_is_checked_like_the_file(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERD_PRICES__CYCLE_S", "soon")
    here("config", "check").fails(78, "TICKERD_PRICES__CYCLE_S: prices.cycle_s", "give a number above 0")


def test_a_right_configuration_is_said_to_be(here: Run, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"

    assert here("config", "check").out == "built-in defaults: right\n"
    assert here("config", "check", "--json").json() == {"version": 1, "ok": True, "file": None}
    file.write_text("[prices]\ncycle_s = 30\n")
    assert here("config", "check").out == f"{file}: right\n"
    assert here("config", "check", "--json").json() == {"version": 1, "ok": True, "file": str(file)}


def test_every_key_is_shown_with_its_value_and_source(
    here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[prices]\ncycle_s = 30\n")
    monkeypatch.setenv("PORT", "8123")

    document = here("config", "show", "--json").json()

    assert document.keys() == {"version", "file", "keys", "aliases"}
    assert document["file"] == str(file)
    assert set(document["keys"]) == set(all_keys())
    assert all(key.keys() == {"value", "source"} for key in document["keys"].values())
    assert document["keys"]["prices.cycle_s"] == {"value": 30.0, "source": str(file)}
    assert document["keys"]["api.port"] == {"value": 8123, "source": "environment PORT"}
    assert document["keys"]["metrics.batch_size"] == {"value": 100, "source": "default"}
    assert document["aliases"]["DATABASE_URL"] == "database.url"


def test_the_text_shows_the_same_in_lines(here: Run, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[prices]\ncycle_s = 30\n")

    lines = here("config", "show").out.splitlines()

    assert lines[0] == f"file: {file}"
    assert "prices.cycle_s = 30.0  (file)" in lines
    assert 'market.open = "09:30"  (default)' in lines
    assert lines[-1].startswith("accepted in the environment: DATABASE_URL = database.url, ")


def test_passwords_are_never_shown(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hunter2@db/x")
    monkeypatch.setenv("TICKERD_NETWORK__PROXY", "http://me:hunter2@proxy:3128")

    for as_json in ((), ("--json",)):
        shown = here("config", "show", *as_json).out
        assert "hunter2" not in shown
        assert "postgresql+psycopg://me:***@db/x" in shown
        assert "http://me:***@proxy:3128" in shown
