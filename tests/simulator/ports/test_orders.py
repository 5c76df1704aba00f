from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import FixByHand
from simulator.ports import orders


def test_an_order_is_read_with_its_defaults() -> None:
    assert orders.read({"do": "requests", "since": 5}) == orders.Requests(since=5)
    assert orders.read({"do": "check", "table": {"A": [1.5, 7]}}) == orders.Check(table={"A": (1.5, 7)})


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"do": "dance"}, "Invalid value 'dance' - at `$.do`; known orders: fault, clear, faults, event, "),
        ({}, "Object missing required field `do`; known orders: fault, "),
        ([], "Expected `object`, got `array`"),
        ({"do": "fault"}, "Object missing required field `name`"),
        ({"do": "requests", "since": "5"}, "Expected `int`, got `str` - at `$.since`"),
        ({"do": "requests", "since": -1}, "Expected `int` >= 0 - at `$.since`"),
        ({"do": "status", "more": 1}, "Object contains unknown field `more`"),
    ],
)
def test_what_is_no_order_is_told(document: object, reason: str) -> None:
    with pytest.raises(FixByHand) as refused:
        orders.read(document)
    assert str(refused.value).startswith(f"order: {reason}")


def test_every_order_is_named_in_the_document() -> None:
    assert set(orders.NAMES.split(", ")) == {order.__name__.lower() for order in orders.ORDERS}
    assert len(orders.ORDERS) == len(set(orders.ORDERS)) > 10


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(orders.NAMES.split(", "))
FIELDS = st.sampled_from(sorted({name for order in orders.ORDERS for name in order.__struct_fields__}))


@given(JSON | st.builds(lambda name, rest: {**rest, "do": name}, NAMES, st.dictionaries(FIELDS, JSON, max_size=4)))
def test_any_document_is_an_order_or_told(document: object) -> None:
    try:
        assert isinstance(orders.read(document), orders.Order)
    except FixByHand as error:
        assert str(error).startswith("order: ")
