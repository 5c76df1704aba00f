"""Yahoo's consent pages, which visitors from the EU meet: five answers, as recorded in 2025-02 and 2026-08. No I/O."""

from __future__ import annotations

from html import escape
from urllib.parse import quote, urlencode

from simulator.answers.identity import Identities
from simulator.answers.messages import HTML, Request, Response, redirect, refusal, text_answer

FINANCE_HOST = "finance.yahoo.com"
GUCE_HOST = "guce.yahoo.com"
CONSENT_HOST = "consent.yahoo.com"
HOSTS = frozenset({FINANCE_HOST, GUCE_HOST, CONSENT_HOST})
COLLECT = "/v2/collectConsent"
SESSION = "3_cc-session_"
GUCS = "GUCS=practice; Max-Age=1800; Domain=.yahoo.com; Path=/; Secure"
CFC = "CFC=practice; Max-Age=31536000; Domain=consent.yahoo.com; Path=/; Secure"
AGREED = (
    "GUC=practice; Max-Age=31536000; Domain=.yahoo.com; Path=/; Secure",
    "A1S=practice; Domain=.yahoo.com; Path=/; SameSite=Lax; Secure",
    "EuConsent=practice; Max-Age=86400; Domain=.yahoo.com; Path=/",
    "A1=practice; Max-Age=31536000; Domain=.yahoo.com; Path=/; SameSite=Lax; Secure; HttpOnly",
)
FORM = """<!DOCTYPE html>
<html><head><title>Yahoo is part of the Yahoo family of brands</title></head><body>
<form method="post" class="consent-form">
<input type="hidden" name="csrfToken" value="{csrf}">
<input type="hidden" name="sessionId" value="{session}">
<input type="hidden" name="originalDoneUrl" value="{done}">
<input type="hidden" name="namespace" value="yahoo">
<button type="submit" name="agree" value="agree">Accept all</button>
<button type="submit" name="reject" value="reject">Reject all</button>
</form></body></html>
"""
PAGE = "<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>"


class Consent:
    """Stateless: a session's id carries where it goes on, and its token follows from it."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def respond(self, request: Request) -> Response:
        if request.host == FINANCE_HOST:
            return self._finance(request)
        if request.host == GUCE_HOST:
            return self._guce(request)
        if request.url.path != COLLECT:
            return refusal(404, "Not Found", f"No resource at {request.url.path}")
        return self._collect(request)

    def _finance(self, request: Request) -> Response:
        """Send a visitor without our cookie to the consent page, the others to the page without a query."""
        path = request.url.path
        if self._identities.token(request) is None:
            asked = {"brandType": "nonEu", "gcrumb": self._identities.text("gcrumb")[:7], "done": _address(request)}
            return redirect(307, f"https://{GUCE_HOST}/consent?{urlencode(asked)}", GUCS)
        if not path.endswith("/"):
            return redirect(301, f"https://{FINANCE_HOST}{path}/")
        return text_answer(PAGE.format(title=escape(path.strip("/").rpartition("/")[2])), content_type=HTML)

    def _guce(self, request: Request) -> Response:
        if request.url.path == "/consent":
            done = request.query.get("done", f"https://{FINANCE_HOST}/")
            return redirect(302, f"https://{CONSENT_HOST}{COLLECT}?sessionId={quote(SESSION + done, safe='')}")
        session = request.query.get("sessionId", "")
        if request.url.path == "/copyConsent" and session.startswith(SESSION):
            done = session.removeprefix(SESSION)
            mark = "&" if "?" in done else "?"
            return redirect(302, f"{done}{mark}guccounter=1", self._identities.cookie(), *AGREED)
        return refusal(404, "Not Found", f"No resource at {request.url.path}")

    def _collect(self, request: Request) -> Response:
        """Show the form; take it if it is ours and agrees."""
        session = request.query.get("sessionId", "")
        if not session.startswith(SESSION):
            return refusal(400, "Bad Request", "no consent session")
        csrf = self._identities.text(f"consent {session}")[:7]
        agreed = request.method == "POST" and "agree" in request.form and request.form.get("csrfToken") == csrf
        if agreed:
            target = urlencode({"sessionId": session, "lang": "en-GB"})
            return redirect(302, f"https://{GUCE_HOST}/copyConsent?{target}", CFC)
        done = session.removeprefix(SESSION)
        page = FORM.format(csrf=escape(csrf), session=escape(session), done=escape(done))
        return text_answer(page, content_type=HTML)


def _address(request: Request) -> str:
    return f"https://{request.host}{request.target}"
