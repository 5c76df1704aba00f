from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import FixByHand
from simulator.trouble.catalogue import KINDS, describe, duration_s, fault, from_text


def test_a_text_says_name_duration_start_and_parameters() -> None:
    read = from_text("too_many=1m@500ms,exit=198.18.0.3,retry_after_s=5")

    assert (read.kind.name, read.for_s, read.at_s) == ("too_many", 60.0, 0.5)
    assert (read.text("exit"), read.whole("retry_after_s"), read.text("host")) == ("198.18.0.3", 5, "*")


def test_a_name_alone_lasts_until_it_is_cleared() -> None:
    read = from_text("mute")

    assert (read.at_s, read.for_s, read.texts("connections")) == (0.0, None, ())


def test_what_is_given_beside_the_text_is_added() -> None:
    assert from_text("mute@3s", {"for_s": 7}).for_s == 7.0


def test_a_list_is_texts_with_plus_between_or_any_list() -> None:
    assert from_text("drop,symbols=AAPL+F").texts("symbols") == ("AAPL", "F")
    assert fault("mute", {"connections": [3, 7]}).texts("connections") == ("3", "7")


@pytest.mark.parametrize(
    ("said", "seconds"), [("30s", 30), ("500ms", 0.5), ("2m", 120), ("1.5h", 5400), (7, 7), ("7", 7)]
)
def test_durations_have_units(said: object, seconds: float) -> None:
    assert duration_s(said, where="", key="") == seconds


@pytest.mark.parametrize("said", ["30x", "-1s", "", True, None, -1, float("nan"), float("inf"), "1e3s", [3]])
def test_what_is_no_duration_is_refused(said: object) -> None:
    with pytest.raises(FixByHand, match="is no duration; give one like 30s, 500ms or 2m"):
        duration_s(said, where="step 3", key="for_s")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("moot=30s", "--fault: 'moot' is no fault; known: answer, batch_limit, bomb, "),
        ("", "--fault: '' is no fault; known: "),
        ("mute=soon", "--fault: for_s: 'soon' is no duration"),
        ("mute@soon", "--fault: at_s: 'soon' is no duration"),
        ("mute,5", "--fault: '5' is no KEY=VALUE"),
        ("mute,exit=1", "--fault: 'exit' is no parameter of mute; known: connections"),
        ("mute,connections=all", "--fault: connections: 'all' will not do; it is: only these, by their numbers"),
        ("close=30s", "--fault: for_s: close happens once; leave the duration out"),
        ("close,code=x", "--fault: code: 'x' is not a whole number from 0 to 65535; it is: the close code"),
        ("close,code=-1", "--fault: code: '-1' is not a whole number from 0"),
        ("close,code=65536", "--fault: code: '65536' is not a whole number from 0 to 65535"),
        ("answer,status=100", "--fault: status: '100' is not a whole number from 200 to 599; it is: the status"),
        ("slow_body,bytes_per_s=0", "--fault: bytes_per_s: '0' is not a whole number from 1 to 1e+09"),
        ("redirect,location=http://a\r\nX: y", "--fault: location: 'http://a\\r\\nX: y' will not do"),
        ("unit_change,factor=big", "--fault: factor: 'big' is not a number from 0"),
        ("unit_change,factor=nan", "--fault: factor: 'nan' is not a number from 0"),
        ("garbage,forms=json+poem", "--fault: forms: 'json+poem' will not do; it is: of json, kind, "),
        ("rate_limit,per=moon", "--fault: per: 'moon' will not do"),
    ],
)
def test_a_wrong_text_is_told_with_what_would_be_right(text: str, reason: str) -> None:
    with pytest.raises(FixByHand) as refused:
        from_text(text)
    assert str(refused.value).startswith(reason)


@pytest.mark.parametrize("value", [1.5, True, None, [1], float("inf"), float("nan")])
def test_a_value_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(FixByHand, match=r"code: .* is not a whole number from 0"):
        fault("close", {"code": value})


def test_the_page_tells_every_fault_and_every_parameter() -> None:
    page = describe()

    for kind in KINDS.values():
        assert f"\n{kind.name} " in f"\n{page}"
        for parameter in kind.parameters:
            assert parameter.name in page


def test_every_fault_stands_in_the_documents() -> None:
    page = (Path(__file__).parents[3] / "docs" / "practice-market.md").read_text(encoding="utf-8")

    assert [kind.name for kind in KINDS.values() if f"| `{kind.name}` | {kind.help} |" not in page] == []


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_fault_can_be_ordered_by_its_name_alone(kind: object) -> None:
    name = kind.name  # type: ignore[attr-defined]
    assert from_text(name).kind is kind


def test_patterns_and_connections_decide_whom_a_fault_concerns() -> None:
    limited = from_text("too_many,path=/v7/*")
    assert limited.fits("path", "/v7/finance/quote")
    assert not limited.fits("path", "/v8/finance/chart/AAPL")
    muted = from_text("mute,connections=3+7")
    assert [muted.concerns(number) for number in (3, 5, 7)] == [True, False, True]


@given(st.text())
def test_any_text_is_a_fault_or_told(text: str) -> None:
    try:
        assert from_text(text).kind.name in KINDS
    except FixByHand as error:
        assert str(error).startswith("--fault: ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
KEYS = sorted({parameter.name for kind in KINDS.values() for parameter in kind.parameters} | {"at_s", "for_s"})


@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4))
def test_any_value_of_a_parameter_is_taken_or_told(name: str, values: dict[str, object]) -> None:
    try:
        assert fault(name, values).kind.name == name
    except FixByHand as error:
        assert str(error)
