from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from core.clock import SystemClock
from core.errors import Unreachable
from proxies.addresses import AddressFilter
from proxies.files import saved_of
from proxies.model import Address
from proxies.tools import listed_in_files, open_tools, own_proxies
from simulator.testing import PracticeMarket
from tests.fix_proxies import added, settings_of


async def test_a_proxy_of_the_pool_is_never_this_host_itself(practice_market: PracticeMarket, tmp_path: Path) -> None:
    async with open_tools(settings_of(practice_market, tmp_path), SystemClock(), urls={}) as tools:
        assert tools.origin == "practice"
        assert tools.promoter.own_exit == "192.0.2.1", "as the market's echo sees us"
        assert tools.allowed.refusal("192.0.2.1", 8080) is not None


async def test_without_a_direct_way_nothing_is_judged(practice_market: PracticeMarket, tmp_path: Path) -> None:
    """A proxy's fault could not be told from Yahoo's."""
    settings = settings_of(practice_market, tmp_path)
    dead = added(practice_market, "dead")
    away = msgspec.structs.replace(settings, network=msgspec.structs.replace(settings.network, proxy=dead.url))
    with pytest.raises(Unreachable):
        async with open_tools(away, SystemClock(), urls={}):
            raise AssertionError("it opened")


def test_the_file_and_the_users_own_before_it_are_read_and_an_absent_one_is_no_fault(
    practice_market: PracticeMarket, tmp_path: Path
) -> None:
    settings = settings_of(practice_market, tmp_path)
    assert listed_in_files(settings, AddressFilter()).addresses == []
    file = Path(settings.proxies.file)
    saved_of(file).write_text("9.9.9.1:80\nme:pw@9.9.9.2:80\n")
    file.write_text("# tickerd\n9.9.9.3:80\n9.9.9.1:80\n")
    found = listed_in_files(settings, AddressFilter())
    assert {address.ip[-1] for address in found.addresses} == {"1", "2", "3"}
    own = own_proxies(settings, found.urls)
    assert own.url(Address("http", "9.9.9.2", 80)) == "http://me:pw@9.9.9.2:80"
    assert replace(own, urls={}).gateways == ()


def test_a_file_without_proxies_is_told_in_the_log(
    practice_market: PracticeMarket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(practice_market, tmp_path)
    Path(settings.proxies.file).write_text("")
    assert listed_in_files(settings, AddressFilter()).addresses == []
    assert "proxy_file_unread" in "".join(capsys.readouterr())
