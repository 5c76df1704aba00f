from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime

import pytest

from market.quotes import Quote, Tick

AT = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize(("value", "given"), [(Quote(ticker="A"), 1), (Tick(ticker="A", price=1.5, price_time=AT), 3)])
def test_what_a_source_does_not_say_is_none(value: Quote | Tick, given: int) -> None:
    assert {getattr(value, field.name) for field in fields(value)[given:]} == {None}


@pytest.mark.parametrize("value", [Quote(ticker="A"), Tick(ticker="A", price=1.5, price_time=AT)])
def test_a_value_cannot_be_changed_and_equals_its_like(value: Quote | Tick) -> None:
    with pytest.raises(FrozenInstanceError):
        value.ticker = "B"  # type: ignore[misc]
    assert not hasattr(value, "__dict__")
    assert value == type(value)(**{field.name: getattr(value, field.name) for field in fields(value)})
    assert hash(value) == hash(type(value)(**{field.name: getattr(value, field.name) for field in fields(value)}))
