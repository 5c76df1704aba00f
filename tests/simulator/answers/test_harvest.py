"""Each shape is that of a list which the world publishes; `tests/data/proxy_lists.json` holds a piece of each."""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path
from typing import Any

import pytest

from simulator.answers import harvest
from simulator.answers.harvest import Proxy
from simulator.answers.messages import Request, Response

ALIVE = [
    Proxy(protocol="http", host="127.0.0.1", port=40_001),
    Proxy(protocol="socks5", host="127.0.0.1", port=40_002),
    Proxy(protocol="http", host="127.0.0.1", port=40_003),
]
PUBLISHED = json.loads((Path(__file__).parents[2] / "data" / "proxy_lists.json").read_text(encoding="utf-8"))


def get(host: str, path: str) -> Response:
    request = Request(method="GET", host=host, target=path, headers={})
    return harvest.respond(request, ALIVE)


@pytest.mark.parametrize(("host", "path"), harvest.SOURCES)
def test_every_list_names_the_living_proxies_it_can_and_no_address_of_the_real_world(host: str, path: str) -> None:
    answer = get(host, path)
    text = answer.body.decode()

    assert answer.status == 200
    assert "127.0.0.1" in text
    assert "40003" in text
    keeping = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "127.0.0.0/8", "10.0.0.0/8", "0.0.0.0/32")
    for address in set(re.findall(r"\d+\.\d+\.\d+\.\d+", text)):
        networks = map(ipaddress.ip_network, (*keeping, "192.88.99.0/24"))
        assert any(ipaddress.ip_address(address) in network for network in networks), address


def shape(value: Any) -> Any:
    """Return keys and types, without values."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def test_a_list_of_objects_has_a_published_one_s_fields() -> None:
    ours = json.loads(get("raw.githubusercontent.com", "/monosans/proxy-list/main/proxies.json").body)

    assert ours[0].keys() == PUBLISHED["objects"][0].keys()
    assert {name: type(ours[0][name]) for name in ("host", "port", "protocol")} == {
        name: type(PUBLISHED["objects"][0][name]) for name in ("host", "port", "protocol")
    }


def test_geonode_s_answer_has_its_port_as_text_and_misses_a_city_now_and_then() -> None:
    ours = json.loads(get("proxylist.geonode.com", "/api/proxy-list").body)

    assert ours.keys() == PUBLISHED["geonode"].keys()
    row, published = shape(ours["data"][1]), shape(PUBLISHED["geonode"]["data"][0])
    assert {name: row[name] for name in ("ip", "port", "protocols", "anonymityLevel", "lastChecked")} == {
        name: published[name] for name in ("ip", "port", "protocols", "anonymityLevel", "lastChecked")
    }
    assert {"city" in each for each in ours["data"]} == {True, False}


def test_a_wrapped_list_holds_urls_and_a_file_named_json_holds_lines() -> None:
    wrapped = json.loads(get("api.practice-proxies.test", "/wrapped.json").body)
    assert wrapped.keys() == PUBLISHED["wrapped"].keys()
    assert all(re.fullmatch(r"http://[\d.]+:\d+", url) for url in wrapped["proxies"])

    plain = get("api.redscrape.com", "/proxies.json")
    assert plain.content_type.startswith("application/json")
    with pytest.raises(json.JSONDecodeError):
        json.loads(plain.body)
    assert re.fullmatch(PUBLISHED["plain_line"], plain.body.decode().splitlines()[0])


def test_the_table_has_address_and_port_in_its_first_two_cells() -> None:
    pattern = r"<tr><td>([\d.]+)</td><td>(\d+)</td><td>[A-Z]{2}</td><td class='hm'>"
    assert re.search(pattern, PUBLISHED["html"])

    rows = re.findall(pattern, get("free-proxy-list.net", "/").body.decode())
    assert ("127.0.0.1", "40001") in rows


def test_one_list_holds_what_no_harvester_may_take() -> None:
    lines = get("raw.githubusercontent.com", "/TheSpeedX/PROXY-List/master/http.txt").body.decode().split("\r\n")

    assert {"0.0.0.0:80", "127.0.0.7:80", "not an address"} <= set(lines)
    assert {"0.0.0.0:80", "127.0.0.7:80"} <= set(PUBLISHED["bogus_lines"])


def test_a_list_that_there_is_not_is_not_found() -> None:
    assert get("raw.githubusercontent.com", "/nobody/nothing").status == 404
