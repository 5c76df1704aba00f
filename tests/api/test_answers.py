from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from api.answers import answer, encode


def test_times_dates_and_what_is_no_number_are_written_as_documented() -> None:
    at = datetime(2026, 11, 23, 14, 30, 0, 123456, tzinfo=UTC)
    assert encode({"at": at, "on": date(2026, 11, 23), "none": float("nan")}) == (
        b'{"at":"2026-11-23T14:30:00.123Z","on":"2026-11-23","none":null}'
    )


def test_a_value_that_json_has_no_form_for_is_a_fault() -> None:
    with pytest.raises(TypeError):
        encode({"what": object()})


def test_an_answer_is_json_with_its_status_and_headers() -> None:
    response = answer({"a": 1}, status=202, headers={"Location": "/x"})
    assert (response.status_code, response.body, response.headers["location"]) == (202, b'{"a":1}', "/x")
    assert response.headers["content-type"] == "application/json"
