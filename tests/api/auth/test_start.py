from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from api.auth.access import AccessTokens
from api.auth.accounts import Accounts, From
from api.auth.start import check_address, make_first_admin
from core.errors import EXIT_CONFIG, FixByHand
from core.settings import Api
from tests.fix_api import Direct
from tests.fix_storage import StillClock


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "stocks.example.org"])
def test_an_address_that_others_reach_needs_accounts(host: str) -> None:
    with pytest.raises(FixByHand, match=r'api\.auth: may not be false .*; set api\.host = "127\.0\.0\.1"') as caught:
        check_address(Api(host=host, auth=False))
    assert caught.value.exit_code == EXIT_CONFIG
    check_address(Api(host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_they_may_be_off(host: str) -> None:
    check_address(Api(host=host, auth=False))


def test_an_admin_whose_password_cannot_be_kept_is_made_by_the_next_start(direct: Direct, tmp_path: Path) -> None:
    """Else there would be a user, so no first start any more, and nobody who can sign in."""
    accounts = Accounts(direct, AccessTokens(b"x" * 32), StillClock())
    state = tmp_path / "state"
    in_the_way = state / "admin_password"
    in_the_way.mkdir(parents=True)
    with pytest.raises(FixByHand, match="admin_password: cannot be written"):
        asyncio.run(make_first_admin(accounts, state))
    in_the_way.rmdir()
    asyncio.run(make_first_admin(accounts, state))
    password = in_the_way.read_text().strip()
    signed = accounts.sign_in("admin", password, kind="token", origin=From(address="127.0.0.1"))
    assert asyncio.run(signed).principal.must_change
