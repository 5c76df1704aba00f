from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from api.app import build_context, running
from core.clock import SystemClock
from core.errors import FixByHand
from core.settings import Database, Settings
from tests.fix_api import RunningApi, new_folder, settings_of


def test_a_wrong_body_is_told_field_by_field_without_its_values(api: RunningApi) -> None:
    body = {"max_symbols": -1, "min_tech_rating": "s3cret", "surprise": 1}
    answer = api.ask("POST", "/api/v1/scans", body)
    assert (answer.status, answer.json["code"]) == (422, "wrong_request")
    where = [wrong["where"] for wrong in answer.json["errors"]]
    assert where == ["body.max_symbols", "body.min_tech_rating", "body.surprise"]
    assert b"s3cret" not in answer.body


def test_of_thousands_of_mistakes_twenty_are_named(api: RunningApi) -> None:
    answer = api.ask("POST", "/api/v1/scans", {f"k{number}": 1 for number in range(3000)})
    assert (answer.status, len(answer.json["errors"])) == (422, 20)


@pytest.mark.parametrize(
    "body", [b"{", b"[" * 50_000, b"\xff\xfe", b"null", b"[]", b'"x"', b'{"expression": "\\ud800"}', b'{"top": 1e999}']
)
def test_a_body_that_is_none_is_refused(api: RunningApi, body: bytes) -> None:
    answer = api.ask("POST", "/api/v1/scans", body, headers={"Content-Type": "application/json"})
    assert answer.status in (400, 422), answer.body
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_follower_that_ends_is_told(sqlite_template: Path, tmp_path: Path) -> None:
    folder = new_folder(sqlite_template, tmp_path)
    context = build_context(settings_of(folder, auth=False), SystemClock())
    lost: list[BaseException] = []

    async def follow() -> None:
        raise ZeroDivisionError

    async def serve() -> None:
        async with running(context, lost.append), asyncio.timeout(30):
            while not lost:
                await SystemClock().sleep(0.01)

    context.book.follow = follow  # type: ignore[method-assign]
    asyncio.run(serve())
    assert [type(error) for error in lost] == [ZeroDivisionError]


def test_without_a_database_nothing_starts(tmp_path: Path) -> None:
    settings = Settings(database=Database(url=f"sqlite:///{tmp_path}/none.db"), state=settings_of(tmp_path).state)
    with pytest.raises(FixByHand, match="tickerd db upgrade"):
        build_context(settings, SystemClock())
