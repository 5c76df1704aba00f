from __future__ import annotations

from scanners.probe.search import Crumb, Limit, Proposal
from scanners.probe.work import Probe
from tests.fix_probe import AS_BELIEVED, probed
from tests.fix_scanners import Stage


async def test_a_quote_endpoint_that_takes_shorter_lists_is_found_out(probed_market: Stage) -> None:
    probed_market.market.fault("batch_limit", symbols=50)
    report = await probed(probed_market)
    assert report.batch_size == Limit(believed=100, found=50, refused=51)
    assert report.proposals == [Proposal(key="metrics.batch_size", now=100, proposed=50)]
    assert report.requests <= 14


async def test_a_market_whose_crumbs_are_bound_to_nothing_is_told(probed_market: Stage) -> None:
    identities = probed_market.market.server._rest._identities
    identities.crumb = lambda _token: "abcdefghijk"  # type: ignore[method-assign, assignment]
    assert (await probed(probed_market)).crumb == Crumb(is_bound_to_cookie=False)


async def test_too_many_requests_end_the_quotes_and_slow_all_processes(
    probed_market: Stage,
) -> None:
    probed_market.market.fault("too_many", path="/v7/*", retry_after_s=70)
    context = probed_market.context("probe", once=True, **AS_BELIEVED)
    report = await Probe(context, time_limit_s=60.0).run()
    assert report.symbols_per_connection.found == 100
    assert (report.batch_size.found, report.crumb.is_bound_to_cookie) == (None, None)
    assert "too many requests: status 429" in report.broken_off[0]
    assert context.budget.quiet_for_s(probed_market.clock.monotonic_s()) > 60
    assert len(probed_market.market.requests(path="/v7/*")) == 1
