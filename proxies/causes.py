"""What an attempt through a proxy came to: whose fault, told by the phase in which it went wrong. Does no I/O."""

from __future__ import annotations

import re

from net.client import BAD_CERTIFICATE, Answer, NoAnswer
from proxies.model import Cause

# libcurl's error codes (curl.se/libcurl/c/libcurl-errors.html).
CANNOT_CONNECT, TIMED_OUT, TOO_BIG, SOCKS_REFUSED = 7, 28, 63, 97
ENDLESS_HEADERS = "Too large response headers"
CAPTCHA = re.compile(rb"captcha|are you a human|are you a robot|unusual traffic", re.IGNORECASE)
CONSENT = re.compile(rb"consent|guce", re.IGNORECASE)
LOOKED_AT_BYTES = 20_000
"""Of a page that should have been JSON."""
LIMITED = (429, 999)
CRUMB_REFUSED = (401, 403)
LIST_REFUSED = (400, 413, 414)
"""The list was too long: nobody's fault but ours."""


def cause_of_failure(error: NoAnswer) -> Cause:
    """Return why there was no answer."""
    denied: dict[int, Cause] = {407: "needs_password", 429: "proxy_limit"}
    if error.code in BAD_CERTIFICATE:
        return "bad_certificate"
    if error.code == TOO_BIG or ENDLESS_HEADERS in str(error):
        return "too_big"
    if error.connect_status >= 300 and not error.secured:
        return denied.get(error.connect_status, "connect_denied")
    named: dict[int, Cause] = {CANNOT_CONNECT: "refused", TIMED_OUT: "timeout", SOCKS_REFUSED: "connect_denied"}
    return named.get(error.code, "reset")


def cause_of_answer(answer: Answer) -> Cause:
    """Return what an answer that came through TLS says by its status and form: "ok" for JSON with a 200.

    Whether the JSON holds what was asked is not looked at. A status of `LIST_REFUSED` is "ok", too.
    """
    if answer.status in LIMITED:
        return "yahoo_limit"
    if answer.status in CRUMB_REFUSED:
        return "crumb_refused"
    if answer.status >= 500:
        return "server_error"
    if 300 <= answer.status < 400:
        return "consent" if CONSENT.search(answer.headers.get("location", "").encode()) else "html"
    return "ok" if answer.status in LIST_REFUSED else _form(answer)


def _form(answer: Answer) -> Cause:
    head = answer.body[:LOOKED_AT_BYTES].lstrip()
    if head.startswith((b"{", b"[")):
        return "ok"
    if not head.startswith(b"<") and "html" not in answer.headers.get("content-type", ""):
        return "not_json"
    if CAPTCHA.search(head):
        return "captcha"
    return "consent" if CONSENT.search(head) else "html"
