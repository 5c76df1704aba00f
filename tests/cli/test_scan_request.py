from __future__ import annotations

from pathlib import Path

import pytest

from cli import scan_request
from tests.fix_cli import Run

WRONG = 'tickerd: column 15: unknown field "clos"; did you mean "close"?'


@pytest.mark.parametrize("way", [("scan",), ("scan", "check"), ("backtest",), ("scan", "--json")])
def test_a_mistake_is_one_line_with_its_column(scan_folder: Path, here: Run, way: tuple[str, ...]) -> None:
    done = here(*way, "close > 1 and clos > 2")
    assert (done.code, done.out, done.err.splitlines()) == (2, "", [WRONG])


def test_a_mistake_is_shown_to_a_person_with_a_caret(
    scan_folder: Path, here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_request, "at_a_terminal", lambda: True)
    done = here("scan", "close > 1 and clos > 2")
    assert done.err.splitlines() == ["close > 1 and clos > 2", "              ^^^^", WRONG]


def test_what_a_person_leaves_out_is_not_asked_for() -> None:
    request = scan_request.request_of({"expression": "close > 1", "top": 0, "on": None, "tickers": (), "biased": False})
    assert (request.expression, request.top, request.on, list(request.tickers)) == ("close > 1", 0, None, [])
