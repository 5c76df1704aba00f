import errno
import socket
from ipaddress import IPv4Network

import psutil
import pytest

from core.errors import FixByHand
from core.files import read_text
from core.settings import Proxies
from proxies.addresses import listed_networks
from proxies.guard import EDGES, interface_addresses, load_filter, outbound_addresses


def test_the_shipped_edges_are_networks_that_are_small_enough_to_be_somebodys() -> None:
    edges = [IPv4Network(text) for text in listed_networks(read_text(EDGES))]
    assert len(edges) == 34
    assert all(edge.prefixlen >= 13 and edge.is_global for edge in edges)


@pytest.mark.parametrize(
    ("ip", "reason"),
    [
        *(("104.16.0.1", "cdn"), ("172.67.190.88", "cdn"), ("108.162.192.144", "cdn"), ("151.101.1.1", "cdn")),
        *(("185.148.105.138", None), ("8.213.222.157", None), ("127.0.0.7", "private")),
    ],
)
def test_web_servers_of_delivery_networks_that_real_lists_name_are_refused(ip: str, reason: str | None) -> None:
    assert load_filter(Proxies()).refusal(ip, 8080) == reason


def test_own_networks_come_from_the_settings() -> None:
    assert load_filter(Proxies(own_networks=["127.0.0.0/8"])).refusal("127.0.0.1", 8080) is None
    with pytest.raises(FixByHand, match=r"proxies\.own_networks"):
        load_filter(Proxies(own_networks=["10.0.0.1/8"]))


def test_this_hosts_interfaces_are_known() -> None:
    found = interface_addresses()
    assert "127.0.0.1" in found
    assert all(socket.inet_aton(address) for address in found)


def test_the_address_that_leads_outside_is_one_of_the_interfaces() -> None:
    assert outbound_addresses() <= interface_addresses()


def test_a_host_that_may_not_list_its_interfaces_knows_its_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(psutil, "net_if_addrs", refused)
    assert interface_addresses() == outbound_addresses()
