from __future__ import annotations

from api.headers import for_preflight, with_standing


def test_every_answer_is_kept_by_nobody_and_framed_by_nobody() -> None:
    headers = dict(with_standing([(b"content-type", b"text/html")], encrypted=False))
    assert headers[b"cache-control"] == b"no-store" and headers[b"x-frame-options"] == b"DENY"
    assert headers[b"x-content-type-options"] == b"nosniff" and headers[b"referrer-policy"] == b"no-referrer"
    policy = headers[b"content-security-policy"].decode()
    assert policy.startswith("default-src 'none'; script-src 'self';") and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "*" not in policy and "http" not in policy
    assert b"strict-transport-security" not in headers


def test_what_an_answer_says_itself_stands() -> None:
    given = [(b"cache-control", b"private, max-age=1"), (b"x-frame-options", b"SAMEORIGIN")]
    headers = with_standing(given, encrypted=True)
    assert [value for name, value in headers if name == b"cache-control"] == [b"private, max-age=1"]
    assert [value for name, value in headers if name == b"x-frame-options"] == [b"SAMEORIGIN"]
    assert (b"strict-transport-security", b"max-age=31536000") in headers


def test_a_listed_site_may_read_answers_but_sends_no_cookie() -> None:
    headers = dict(for_preflight("https://page.example.com"))
    assert headers[b"access-control-allow-origin"] == b"https://page.example.com" and headers[b"vary"] == b"Origin"
    assert b"Authorization" in headers[b"access-control-allow-headers"]
    assert b"access-control-allow-credentials" not in headers
