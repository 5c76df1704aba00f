from __future__ import annotations

import pytest
from pydantic import ValidationError

from api.auth import shapes
from api.auth.roles import ALIASES, ROLES
from api.principals import SCOPES


def test_the_words_that_may_be_sent_are_the_ones_that_mean_something() -> None:
    assert set(shapes.Scope.__args__) == SCOPES  # type: ignore[attr-defined]
    assert set(shapes.Role.__args__) == {*ROLES, *ALIASES}  # type: ignore[attr-defined]


def test_no_shape_shows_what_a_credential_is_checked_by() -> None:
    for shape in (shapes.User, shapes.Key):
        assert not {"password_hash", "token_hash"} & set(shape.model_fields)


def test_more_than_is_asked_is_refused() -> None:
    with pytest.raises(ValidationError):
        shapes.UserChange(role="admin", password_hash="x")  # type: ignore[call-arg]
