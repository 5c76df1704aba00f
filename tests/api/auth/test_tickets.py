from __future__ import annotations

from api.auth.tickets import LIFE_S, MOST, Tickets
from api.principals import LOCAL


def test_a_ticket_lets_in_once_and_not_for_long() -> None:
    tickets = Tickets()
    first, second = tickets.issue(LOCAL, now_s=0.0), tickets.issue(LOCAL, now_s=0.0)
    assert first != second and len(first) == 32
    assert tickets.use(first, now_s=LIFE_S - 0.1) is LOCAL
    assert tickets.use(first, now_s=LIFE_S - 0.1) is None
    assert tickets.use(second, now_s=LIFE_S) is None
    assert tickets.use("never given", now_s=0.0) is None


def test_too_many_tickets_push_the_oldest_out() -> None:
    tickets = Tickets()
    oldest = tickets.issue(LOCAL, now_s=0.0)
    newest = [tickets.issue(LOCAL, now_s=1.0) for _ in range(MOST)][-1]
    assert tickets.use(oldest, now_s=1.0) is None and tickets.use(newest, now_s=1.0) is LOCAL
