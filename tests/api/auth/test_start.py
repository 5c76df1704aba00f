from __future__ import annotations

import pytest

from api.auth.start import check_address
from core.errors import EXIT_CONFIG, FixByHand
from core.settings import Api


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "stocks.example.org"])
def test_an_address_that_others_reach_needs_accounts(host: str) -> None:
    with pytest.raises(FixByHand, match=r'api\.auth: may not be false .*; set api\.host = "127\.0\.0\.1"') as caught:
        check_address(Api(host=host, auth=False))
    assert caught.value.exit_code == EXIT_CONFIG
    check_address(Api(host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_on_loopback_they_may_be_off(host: str) -> None:
    check_address(Api(host=host, auth=False))
