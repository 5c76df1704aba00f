from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import FixByHand
from proxies.addresses import (
    SERVICE_PORTS,
    AddressFilter,
    RefusedAddress,
    ip_number,
    listed_networks,
    networks,
    port_number,
)

PLAIN = AddressFilter()


@pytest.mark.parametrize(
    "text",
    [
        *("127.1", "0x7f000001", "2130706433", "0177.0.0.1", "１２７.0.0.1", "127.0.0.1.", " 127.0.0.1", "127.0.0.1\n"),
        *("8.8.8", "8.8.8.8.8", "8.8.8.256", "08.8.8.8", "8.8.8.-1", "+8.8.8.8", "8.8.8.8/32", "::ffff:8.8.8.8", "::1"),
        *("localhost", "metadata.google.internal", "redis", "", "8.8.8.8\x00", "٨.8.8.8", "64:ff9b::7f00:1", "8,8,8,8"),
    ],
)
def test_what_is_no_canonical_dotted_quad_is_no_address_whatever_a_resolver_makes_of_it(text: str) -> None:
    assert ip_number(text) is None
    assert PLAIN.refusal(text, 8080) == "not_an_address"


@pytest.mark.parametrize(("text", "port"), [("1", 1), ("80", 80), ("65535", 65535)])
def test_a_port_is_plain_digits(text: str, port: int) -> None:
    assert port_number(text) == port


@pytest.mark.parametrize(
    "text", ["0", "65536", "99999", "080", "-1", "+80", " 80", "80\n", "8o", "", "8.0", "８０", "1e3"]
)
def test_any_other_port_is_none(text: str) -> None:
    assert port_number(text) is None


@pytest.mark.parametrize(
    ("ip", "reason"),
    [
        *(("0.0.0.0", "private"), ("0.1.2.3", "private"), ("10.0.0.1", "private"), ("10.255.255.255", "private")),
        *(("100.64.0.1", "private"), ("100.127.255.255", "private"), ("127.0.0.7", "private")),
        *(("169.254.169.254", "private"), ("172.16.0.1", "private"), ("172.31.255.255", "private")),
        *(("192.168.1.1", "private"), ("192.0.0.8", "reserved"), ("192.0.2.1", "reserved")),
        *(("192.88.99.1", "reserved"), ("198.18.0.1", "reserved"), ("198.19.255.255", "reserved")),
        *(("198.51.100.7", "reserved"), ("203.0.113.7", "reserved"), ("224.0.0.1", "reserved")),
        *(("239.255.255.255", "reserved"), ("240.0.0.1", "reserved"), ("255.255.255.255", "reserved")),
    ],
)
def test_private_and_reserved_addresses_are_refused(ip: str, reason: str) -> None:
    assert PLAIN.refusal(ip, 8080) == reason


@pytest.mark.parametrize(
    "ip",
    [
        "1.0.0.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.0.1",
        "172.32.0.0",
        "223.255.255.255",
    ],
)
def test_their_neighbours_are_not(ip: str) -> None:
    assert PLAIN.refusal(ip, 8080) is None


@given(number=st.integers(0, 2**32 - 1))
def test_nothing_is_accepted_that_the_standard_library_does_not_call_global(number: int) -> None:
    address = IPv4Address(number)
    assert ip_number(str(address)) == number
    if PLAIN.refusal(str(address), 8080) is None:
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved


@given(text=st.text(alphabet="0123456789.xX:/ ", max_size=20))
def test_a_text_is_an_address_only_if_it_is_the_one_way_to_write_it(text: str) -> None:
    number = ip_number(text)
    assert number is None or str(IPv4Address(number)) == text


@pytest.mark.parametrize("port", sorted(SERVICE_PORTS))
def test_the_port_of_another_service_is_refused_even_in_an_own_network(port: int) -> None:
    assert PLAIN.refusal("8.8.8.8", port) == "service_port"
    assert AddressFilter(own_networks=["10.0.0.0/8"]).refusal("10.0.0.5", port) == "service_port"


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_out_of_range_is_refused(port: int) -> None:
    assert PLAIN.refusal("8.8.8.8", port) == "bad_port"


def test_an_own_network_is_allowed_although_private_and_its_neighbours_are_not() -> None:
    addresses = AddressFilter(own_networks=["127.0.0.0/8", "10.1.2.0/24"])
    assert addresses.refusal("127.0.0.7", 80) is None
    assert addresses.refusal("10.1.2.255", 3128) is None
    assert addresses.refusal("10.1.3.0", 3128) == "private"
    assert addresses.refusal("10.1.1.255", 3128) == "private"
    assert addresses.is_own("10.1.2.7")
    assert not addresses.is_own("8.8.8.8")
    assert not addresses.is_own("10.1.2")


def test_edges_of_delivery_networks_are_refused_to_their_last_address() -> None:
    addresses = AddressFilter(edges=["104.16.0.0/13", "104.24.0.0/14"])
    assert addresses.refusal("104.16.0.0", 80) == "cdn"
    assert addresses.refusal("104.27.255.255", 80) == "cdn"
    assert addresses.refusal("104.15.255.255", 80) is None
    assert addresses.refusal("104.28.0.0", 80) is None


def test_this_hosts_own_address_is_refused_once_it_is_known() -> None:
    addresses = AddressFilter(own_addresses={"8.8.4.4"})
    assert addresses.refusal("8.8.4.4", 8080) == "own"
    assert addresses.refusal("8.8.8.8", 8080) is None
    addresses.learn_own("8.8.8.8")
    assert addresses.refusal("8.8.8.8", 8080) == "own"


def test_right_before_a_connection_a_refused_address_is_an_error_that_says_why() -> None:
    PLAIN.check("8.8.8.8", 8080)
    with pytest.raises(
        RefusedAddress, match=r"127\.0\.0\.7:80: is not contacted: private; name its network in own_net"
    ):
        PLAIN.check("127.0.0.7", 80)
    with pytest.raises(RefusedAddress, match="is not contacted: service_port"):
        PLAIN.check("8.8.8.8", 22)
    with pytest.raises(RefusedAddress, match=r"^evil\.example\.net:80: is not contacted: not_an_address$"):
        PLAIN.check("evil.example.net", 80)


def test_a_network_that_is_none_is_told_with_its_setting() -> None:
    with pytest.raises(FixByHand, match=r"^proxies\.own_networks: '10\.0\.0\.1/8' is no network .*10\.1\.2\.0/24"):
        networks(["10.0.0.1/8"], key="proxies.own_networks")


def test_a_file_of_networks_may_hold_comments() -> None:
    assert listed_networks("# a name\n\n1.0.0.0/24  # the first\n  2.0.0.0/8\n") == ["1.0.0.0/24", "2.0.0.0/8"]
