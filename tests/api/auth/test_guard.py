from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from api.auth.access import AccessTokens
from api.auth.accounts import Accounts
from api.auth.guard import Asked, Guard
from api.auth.tickets import Tickets
from api.hosts import Hosts
from api.principals import ANONYMOUS, LOCAL, Kind, Principal
from api.problems import Problem
from tests.fix_storage import StillClock

ANN = Principal(name="ann", kind="key", scopes=frozenset(("read",)), user_id=1)
OF_TICKET = replace(ANN, kind="ticket")


@dataclass
class Known:
    """Whose credential it is, as a test writes it down; stands for the accounts and for their holders."""

    credentials: dict[tuple[str, Kind], Principal] = field(default_factory=dict)
    tokens: AccessTokens = field(default_factory=lambda: AccessTokens(b"x" * 32))

    @property
    def holders(self) -> Known:
        return self

    async def holder(self, credential: str, kind: Kind) -> Principal | None:
        return self.credentials.get((credential, kind))

    async def still_holds(self, principal: Principal) -> bool:
        return principal.credential_id != "sign_in:over"


KNOWN = Known({("stk_1", "key"): ANN, ("jwt", "token"): ANN, ("secret", "session"): ANN})
CSRF = KNOWN.tokens.csrf_of("secret").encode()
OWN, FOREIGN = (b"origin", b"http://localhost:8000"), (b"origin", b"http://evil.example")
COOKIE = (b"cookie", b"a=b; tickerd_session=secret; c=d")
EVENTS = (b"accept", b"text/event-stream")


def asked(*headers: tuple[bytes, bytes], method: str = "GET", kind: str = "http", query: bytes = b"") -> Asked:
    scope: dict[str, Any] = {"type": kind, "method": method, "query_string": query}
    return Asked.of(scope | {"headers": [(b"host", b"localhost:8000"), *headers]})


def found(given: Asked, *, needed: bool = True, tickets: Tickets | None = None) -> Principal:
    clock = StillClock()
    guard = Guard(cast(Accounts, KNOWN), tickets or Tickets(), Hosts([], []), clock, needed=needed)
    return asyncio.run(guard.principal(given))


def refused(given: Asked, *, needed: bool = True) -> str:
    with pytest.raises(Problem) as caught:
        found(given, needed=needed)
    return caught.value.code


@pytest.mark.parametrize(
    "header",
    [
        (b"authorization", b"Bearer stk_1"),
        (b"authorization", b"bearer  stk_1 "),
        (b"authorization", b"Bearer jwt"),
        (b"x-api-key", b"stk_1"),
        COOKIE,
        (b"cookie", b"__Host-tickerd_session=secret"),
    ],
)
def test_a_credential_is_found_wherever_it_may_be(header: tuple[bytes, bytes]) -> None:
    assert found(asked(header)) is ANN


@pytest.mark.parametrize(
    "header",
    [
        (b"authorization", b"Bearer other"),
        (b"authorization", b"Bearer stk_2"),
        (b"authorization", b"Bearer \xff\xfe"),
        (b"authorization", b"Bearer " + b"x" * 10_000),
        (b"x-api-key", b"jwt"),
    ],
)
def test_a_wrong_credential_of_a_header_is_401_even_where_nobody_must_sign_in(header: tuple[bytes, bytes]) -> None:
    assert refused(asked(header)) == refused(asked(header), needed=False) == "credential_invalid"


@pytest.mark.parametrize(
    "header",
    [
        (b"authorization", b"Basic YWRtaW46YWRtaW4="),
        (b"authorization", b"Bearer"),
        (b"cookie", b"tickerd_session=old"),
        (b"cookie", b"tickerd_session=\x01;;=;"),
        (b"cookie", b"nothing"),
    ],
)
def test_what_is_no_credential_is_nobody(header: tuple[bytes, bytes]) -> None:
    assert found(asked(header)) is ANONYMOUS


def test_a_pages_change_needs_its_token_and_its_origin() -> None:
    token = (b"x-csrf-token", CSRF)
    assert found(asked(COOKIE, token, OWN, method="POST")) is ANN
    assert found(asked(COOKIE, token, method="DELETE")) is ANN, "no browser leaves the origin out of another site's"
    assert refused(asked(COOKIE, OWN, method="POST")) == "csrf"
    assert refused(asked(COOKIE, (b"x-csrf-token", CSRF[:-1] + b"?"), method="PUT")) == "csrf"
    assert refused(asked(COOKIE, token, FOREIGN, method="POST")) == "origin_refused"
    assert found(asked(COOKIE, FOREIGN)) is ANN, "reading it is for the browser to refuse"


def test_a_sockets_origin_is_asked_for_whatever_it_comes_with() -> None:
    for header in (COOKIE, (b"x-api-key", b"stk_1"), (b"x-nothing", b"")):
        assert refused(asked(header, FOREIGN, kind="websocket")) == "origin_refused"
    assert refused(asked(COOKIE, FOREIGN, EVENTS)) == "origin_refused"
    assert found(asked(COOKIE, OWN, kind="websocket")) is ANN
    assert found(asked(COOKIE, kind="websocket")) is ANN, "no browser"


def test_a_program_with_a_key_needs_no_origin() -> None:
    assert found(asked((b"x-api-key", b"stk_1"), FOREIGN, method="POST")) is ANN, "no browser sends a key by itself"


def test_a_ticket_serves_a_stream_once_and_nothing_else() -> None:
    tickets = Tickets()
    now_s = StillClock().monotonic_s()
    query = b"channels=quotes&ticket=" + tickets.issue(ANN, now_s=now_s).encode()
    assert found(asked(query=query), tickets=tickets) is ANONYMOUS
    assert found(asked(EVENTS, query=query, method="POST"), tickets=tickets) is ANONYMOUS
    assert found(asked(EVENTS, query=query), tickets=tickets) == OF_TICKET
    with pytest.raises(Problem, match="ticket_invalid"):
        found(asked(EVENTS, query=query), tickets=tickets)
    socket = b"ticket=" + tickets.issue(ANN, now_s=now_s).encode()
    assert found(asked(kind="websocket", query=socket), tickets=tickets) == OF_TICKET


def test_a_ticket_may_only_read_and_is_over_with_what_it_was_made_with() -> None:
    tickets = Tickets()
    now_s = StillClock().monotonic_s()
    admin = replace(ANN, scopes=frozenset(("read", "admin")))
    query = b"ticket=" + tickets.issue(admin, now_s=now_s).encode()
    assert found(asked(EVENTS, query=query), tickets=tickets) == OF_TICKET
    query = b"ticket=" + tickets.issue(replace(ANN, credential_id="sign_in:over"), now_s=now_s).encode()
    with pytest.raises(Problem, match="ticket_invalid"):
        found(asked(EVENTS, query=query), tickets=tickets)


def test_where_nobody_must_sign_in_another_sites_page_still_may_not() -> None:
    assert found(asked(), needed=False) is LOCAL
    assert found(asked(OWN, method="POST"), needed=False) is LOCAL
    assert refused(asked(FOREIGN, method="POST"), needed=False) == "origin_refused"
    crossed = ((b"sec-fetch-site", b"cross-site"), (b"sec-fetch-mode", b"no-cors"))
    assert refused(asked(*crossed), needed=False) == "origin_refused"
    followed = ((b"sec-fetch-site", b"cross-site"), (b"sec-fetch-mode", b"navigate"))
    assert found(asked(*followed), needed=False) is LOCAL, "a link to the page"
