from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.clock import SystemClock
from net.client import CrowdClient
from proxies.model import Address, Cause, Member
from scanners.metrics.crowd import Crowd
from tests.fix_scanners import Stage

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
QUOTE = "/v7/finance/quote"


@asynccontextmanager
async def crowd_of(stage: Stage, refuses: bool = False) -> AsyncIterator[Crowd]:
    trust = stage.context("metrics").trust
    async with CrowdClient(ca_path=trust.ca_path) as client:
        yield Crowd(
            client,
            SystemClock(),
            refusal=lambda _ip, _port: "private" if refuses else None,
            url_of=lambda address: address.url,
        )


def member_of(stage: Stage, kind: str, *, protocol: str = "http") -> Member:
    """Open a proxy of this kind; return it as a member without a crumb."""
    (found,) = stage.market.add_proxies(kind, protocol=protocol)
    ip, _, port = found.address.rpartition(":")
    protocols = {"http": "http", "socks4a": "socks4", "socks5": "socks5"}
    address = Address(protocols[protocol], ip, int(port))  # type: ignore[arg-type]
    return Member(address=address, state="live", ok=1, first_seen=NOW, exit_ip=found.exit)


@pytest.mark.parametrize("protocol", ["http", "socks4a", "socks5"])
async def test_a_crumb_is_minted_through_the_exit_and_used_again(still_stage: Stage, protocol: str) -> None:
    member = member_of(still_stage, "good", protocol=protocol)
    async with crowd_of(still_stage) as crowd:
        came = await crowd.ask(member, ["AAPL", "MSFT"], timeout_s=10.0)
        assert (came.cause, came.requests, came.minted) == ("ok", 3, True)
        assert came.answer is not None
        assert [quote.ticker for quote in came.answer.quotes] == ["AAPL", "MSFT"]
        again = await crowd.ask(came.member, ["F"], timeout_s=10.0)
        assert (again.cause, again.requests, again.minted) == ("ok", 1, False)
    asked = still_stage.market.requests(path=QUOTE)
    assert {each.exit for each in asked} == {member.exit}


async def test_a_crumb_that_wore_out_is_minted_once_more_and_one_refused_anew_rests_the_exit(
    still_stage: Stage,
) -> None:
    member = replace(member_of(still_stage, "good"), cookie="A3=old", crumb="old")
    async with crowd_of(still_stage) as crowd:
        came = await crowd.ask(member, ["AAPL"], timeout_s=10.0)
        assert (came.cause, came.requests, came.minted) == ("ok", 4, True)
        assert came.member.crumb not in ("", "old")
        still_stage.market.fault("unauthorized")
        refused = await crowd.ask(came.member, ["AAPL"], timeout_s=10.0)
    assert (refused.cause, refused.answer) == ("crumb_refused", None)


async def test_cookies_and_crumbs_never_reach_another_exit(still_stage: Stage) -> None:
    one, two = member_of(still_stage, "good"), member_of(still_stage, "good")
    async with crowd_of(still_stage) as crowd:
        first = (await crowd.ask(one, ["AAPL"], timeout_s=10.0)).member
        second = (await crowd.ask(two, ["AAPL"], timeout_s=10.0)).member
    assert first.cookie and second.cookie
    assert (first.cookie, first.crumb) != (second.cookie, second.crumb)
    crossed = replace(two, cookie=second.cookie, crumb=first.crumb)
    async with crowd_of(still_stage) as crowd:
        came = await crowd.ask(crossed, ["AAPL"], timeout_s=10.0)
    assert came.minted  # the crumb of the first was no good with the cookie of the second: none leaked over


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("flaky", "reset"),
        ("dead", "refused"),
        ("auth", "needs_password"),
        ("busy", "proxy_limit"),
        ("forbidden", "connect_denied"),
        ("web_server", "connect_denied"),
        ("html", "reset"),
        ("flood", "too_big"),
        ("own_certificate", "bad_certificate"),
        ("captcha", "captcha"),
        ("limited", "yahoo_limit"),
        ("bomb", "too_big"),
        ("redirect", "html"),
    ],
)
async def test_what_a_hostile_proxy_does_has_a_name(still_stage: Stage, kind: str, cause: Cause) -> None:
    async with crowd_of(still_stage) as crowd:
        came = await crowd.ask(member_of(still_stage, kind), ["AAPL"], timeout_s=4.0)
    assert (came.cause, came.answer) == (cause, None)
    assert not still_stage.market.requests(path="/inward")


@pytest.mark.parametrize("kind", ["silent", "drip", "slow", "trickle"])
async def test_who_takes_too_long_is_given_up_in_whatever_phase(still_stage: Stage, kind: str) -> None:
    async with crowd_of(still_stage) as crowd:
        came = await crowd.ask(member_of(still_stage, kind), ["AAPL"], timeout_s=0.4)
    assert came.cause == "timeout"


async def test_an_address_that_must_not_be_contacted_is_refused_before_a_packet_is_sent(still_stage: Stage) -> None:
    async with crowd_of(still_stage, refuses=True) as crowd:
        came = await crowd.ask(member_of(still_stage, "good"), ["AAPL"], timeout_s=10.0)
    assert (came.cause, came.requests) == ("refused", 0)
    assert still_stage.market.connections() == []


async def test_a_list_that_is_too_long_is_nobodys_fault(still_stage: Stage) -> None:
    still_stage.market.fault("batch_limit", symbols=1)
    async with crowd_of(still_stage) as crowd:
        came = await crowd.ask(member_of(still_stage, "good"), ["AAPL", "MSFT"], timeout_s=10.0)
    assert (came.cause, came.answer) == (None, None)
