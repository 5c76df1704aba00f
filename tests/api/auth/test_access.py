from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest

from api.auth.access import LEEWAY, LIFE, AccessTokens, BadToken, Claims

AT = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
SECRET = b"0123456789abcdef0123456789abcdef"


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def signed(header: object, claims: object, secret: bytes = SECRET) -> str:
    """A token made by hand, after RFC 7515."""
    text = f"{part(header)}.{part(claims)}"
    digest = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


HEADER = {"alg": "HS256", "typ": "JWT"}
CLAIMS = {"iss": "tickerd", "sub": "7", "sid": 3, "iat": AT.timestamp(), "exp": (AT + LIFE).timestamp()}


def test_a_token_says_who_is_signed_in_for_a_quarter_of_an_hour() -> None:
    tokens = AccessTokens(SECRET)
    token = tokens.issue(user_id=7, sign_in_id=3, at=AT)
    told = Claims(user_id=7, sign_in_id=3, expires_at=AT + timedelta(minutes=15))
    assert tokens.read(token, at=AT) == tokens.read(signed(HEADER, CLAIMS), at=AT) == told
    assert tokens.read(token, at=AT - timedelta(hours=3)) == told, "a clock put back is no fault of the token's"
    assert tokens.read(token, at=AT + LIFE + LEEWAY - timedelta(seconds=1)) == told
    with pytest.raises(BadToken, match="is over"):
        tokens.read(token, at=AT + LIFE + LEEWAY)


@pytest.mark.parametrize(
    "token",
    [
        f"{part({'alg': 'none'})}.{part(CLAIMS)}.",
        signed({"alg": "none"}, CLAIMS),
        signed({"alg": "HS512"}, CLAIMS),
        signed({"alg": "RS256"}, CLAIMS),
        signed(HEADER, CLAIMS, b"another secret of thirty-two byte"),
        signed(HEADER, CLAIMS)[:-3] + "AAA",
        signed(HEADER, CLAIMS | {"iss": "others"}),
        signed(HEADER, {key: value for key, value in CLAIMS.items() if key != "exp"}),
        signed(HEADER, {key: value for key, value in CLAIMS.items() if key != "sid"}),
        signed(HEADER, CLAIMS | {"sub": "admin"}),
        signed(HEADER, CLAIMS | {"exp": 1e300}),
        signed(HEADER, CLAIMS | {"exp": "soon"}),
        signed(HEADER, CLAIMS | {"sid": [1]}),
        signed(HEADER, []),
        "",
        "a.b",
        "a.b.c",
        "\udcff.\udcff.\udcff",
        "." * 4000,
    ],
)
def test_a_token_that_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(BadToken):
        AccessTokens(SECRET).read(token, at=AT)


def test_the_csrf_token_is_of_one_session_and_one_secret() -> None:
    told = {AccessTokens(secret).csrf_of(session) for secret in (SECRET, SECRET[::-1]) for session in ("a", "b")}
    assert len(told) == 4
