import pytest

from core.errors import FixByHand, NotRunning, RetryLater, TickerdError, Unreachable


@pytest.mark.parametrize(
    ("kind", "exit_code"), [(TickerdError, 1), (NotRunning, 3), (Unreachable, 69), (RetryLater, 75), (FixByHand, 78)]
)
def test_each_class_of_error_has_the_exit_code_that_was_promised(kind: type[TickerdError], exit_code: int) -> None:
    assert kind("reason").exit_code == exit_code


def test_an_error_is_told_as_where_key_reason_and_what_would_be_right() -> None:
    error = FixByHand("is no port", where="config.toml", key="api.port", right="give a number")
    assert str(error) == "config.toml: api.port: is no port; give a number"
    assert (error.where, error.key, error.reason, error.right) == (
        "config.toml",
        "api.port",
        "is no port",
        "give a number",
    )


def test_parts_that_are_not_known_leave_no_empty_colons() -> None:
    assert str(TickerdError("failed")) == "failed"
    assert str(TickerdError("failed", key="k")) == "k: failed"
    assert str(TickerdError("failed", right="try again")) == "failed; try again"


def test_an_error_is_one_line_whatever_is_in_it() -> None:
    assert str(FixByHand("bad\nvalue", where="a\r\nb", key='"x\ny"')) == 'a b: "x y": bad value'


def test_an_unreachable_upstream_is_one_that_may_be_tried_again() -> None:
    assert issubclass(Unreachable, RetryLater)
    assert not issubclass(FixByHand, RetryLater)
