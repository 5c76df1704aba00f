from datetime import UTC, datetime

import pytest

from market.quotes import Quote, Tick

AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def fields(value: Quote | Tick) -> dict[str, object]:
    return {name: getattr(value, name) for name in type(value).__annotations__}


@pytest.mark.parametrize(("value", "given"), [(Quote(ticker="A"), 1), (Tick(ticker="A", price=1.5, price_time=AT), 3)])
def test_what_a_source_does_not_say_is_none(value: Quote | Tick, given: int) -> None:
    assert set(list(fields(value).values())[given:]) == {None}


@pytest.mark.parametrize("value", [Quote(ticker="A"), Tick(ticker="A", price=1.5, price_time=AT)])
def test_a_value_cannot_be_changed_and_equals_its_like(value: Quote | Tick) -> None:
    with pytest.raises(AttributeError):
        value.ticker = "B"  # type: ignore[misc]
    assert not hasattr(value, "__dict__")
    like = type(value)(**fields(value))  # type: ignore[arg-type]
    assert value == like
    assert hash(value) == hash(like)
