"""The way through the pages, against the recorded one, is in test_contract.py; here is what goes wrong on it."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from simulator.answers.consent import Consent
from simulator.answers.identity import Identities
from simulator.answers.messages import Request, Response

SESSION = "3_cc-session_https://finance.yahoo.com/quote/F?p=F"
COLLECT = f"/v2/collectConsent?{urlencode({'sessionId': SESSION})}"


def ask(url: str, *, method: str = "GET", cookie: str = "", body: dict[str, str] | None = None) -> Response:
    host, _, target = url.removeprefix("https://").partition("/")
    request = Request(
        method=method, host=host, target=f"/{target}", headers={"cookie": cookie}, body=urlencode(body or {}).encode()
    )
    return Consent(Identities(b"secret")).respond(request)


def csrf() -> str:
    page = ask(f"https://consent.yahoo.com{COLLECT}").body.decode()
    return page.partition('name="csrfToken" value="')[2].partition('"')[0]


def test_the_form_has_the_fields_that_yahoo_s_has() -> None:
    page = ask(f"https://consent.yahoo.com{COLLECT}").body.decode()

    for name in ("csrfToken", "sessionId", "originalDoneUrl", "namespace", "agree"):
        assert f'name="{name}"' in page


@pytest.mark.parametrize(
    "form", [{}, {"agree": "agree"}, {"agree": "agree", "csrfToken": "guessed"}, {"reject": "reject", "csrfToken": ""}]
)
def test_who_does_not_agree_with_our_token_sees_the_form_again(form: dict[str, str]) -> None:
    answer = ask(f"https://consent.yahoo.com{COLLECT}", method="POST", body=form)

    assert (answer.status, answer.cookies) == (200, ())
    assert b"csrfToken" in answer.body


def test_who_agrees_is_led_on_and_back_to_where_the_visit_began() -> None:
    agreed = ask(f"https://consent.yahoo.com{COLLECT}", method="POST", body={"agree": "agree", "csrfToken": csrf()})
    copied = ask(agreed.headers["location"])

    assert agreed.status == copied.status == 302
    assert copied.headers["location"] == "https://finance.yahoo.com/quote/F?p=F&guccounter=1"
    assert any(cookie.startswith("A3=") for cookie in copied.cookies)


@pytest.mark.parametrize(
    "url",
    [
        "https://consent.yahoo.com/v2/collectConsent",
        "https://consent.yahoo.com/v2/collectConsent?sessionId=other",
        "https://consent.yahoo.com/other",
        "https://guce.yahoo.com/copyConsent?sessionId=other",
        "https://guce.yahoo.com/other",
    ],
)
def test_without_a_session_of_ours_there_is_no_page(url: str) -> None:
    assert ask(url).status in (400, 404)


def test_a_visitor_with_a_cookie_of_ours_sees_the_page() -> None:
    cookie = Identities(b"secret").cookie().partition(";")[0]

    assert ask("https://finance.yahoo.com/quote/F", cookie=cookie).status == 301
    page = ask("https://finance.yahoo.com/quote/%3Cb%3E/", cookie=cookie)
    assert page.status == 200
    assert b"<b>" not in page.body
