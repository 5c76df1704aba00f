from __future__ import annotations

import pytest

from storage.queries import FOLDER, parse, query


def test_a_statement_of_one_dialect_comes_as_it_is_written() -> None:
    assert "unnest" in query("flush_prices", "postgresql")
    assert "unnest" not in query("flush_prices", "sqlite")


def test_parameters_take_the_form_of_the_driver() -> None:
    assert query("read_meta", "sqlite") == "SELECT value FROM app_meta WHERE key = :key"
    assert query("read_meta", "postgresql") == "SELECT value FROM app_meta WHERE key = %(key)s"


def test_a_cast_is_no_parameter() -> None:
    assert "::float8[]" in query("flush_prices", "postgresql")


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        query("no_such_statement", "sqlite")


def test_blocks_are_told_apart_by_name_and_dialect() -> None:
    shared = "-- a heading\n\n-- name: one\nSELECT 1\n\n"
    text = shared + "-- name: two sqlite\nSELECT\n    2\n-- name: two postgresql\nSELECT 3"
    blocks = {("one", ""): "SELECT 1", ("two", "sqlite"): "SELECT\n    2", ("two", "postgresql"): "SELECT 3"}
    assert parse(text) == blocks


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="two statements are named one"):
        parse("-- name: one\nSELECT 1\n-- name: one\nSELECT 2\n")


def test_no_name_is_used_in_two_files() -> None:
    names = [key for path in sorted(FOLDER.glob("*.sql")) for key in parse(path.read_text(encoding="utf-8"))]
    assert len(names) == len(set(names)) > 20
