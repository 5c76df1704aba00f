"""Lists of free proxies in the shapes in which the world publishes them: this market's own, among dead ones. No I/O.

No address of the real world is in them: the dead ones are of the networks that RFC 5737 keeps for documents.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from simulator.answers.messages import HTML, JSON, TEXT, Request, Response, refusal, text_answer

DEAD = tuple(f"{network}.{number}" for network in ("192.0.2", "198.51.100", "203.0.113") for number in range(1, 11))
BOGUS = (
    "0.0.0.0:80",
    "192.88.99.1:80",
    "127.0.0.7:80",
    "192.0.2.23:99999",
    "10.0.0.1:8080",
    "not an address",
    "192.0.2.1",
)
"""What a real list was seen to hold, and worse. None is anybody's: a program that believes them harms no stranger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """`protocol`: http, socks4 or socks5."""

    protocol: str
    host: str
    port: int

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.protocol}://{self.address}"


DEAD_PROXIES = tuple(
    Proxy(protocol=("http", "socks4", "socks5")[number % 3], host=host, port=(8080, 1080, 3128)[number % 3])
    for number, host in enumerate(DEAD)
)


def respond(request: Request, living: Sequence[Proxy]) -> Response:
    """Return the list under the request's host and path, with `living` in it."""
    shape = SOURCES.get((request.host, request.url.path))
    if shape is None:
        return refusal(404, "Not Found", f"no list at {request.host}{request.url.path}")
    content_type, write = shape
    mixed = [proxy for pair in zip(DEAD_PROXIES, living, strict=False) for proxy in pair]
    rest = [*living[len(DEAD_PROXIES) :], *DEAD_PROXIES[len(living) :]]
    return text_answer(write([*mixed, *rest]), content_type=content_type)


def _plain(proxies: Sequence[Proxy]) -> str:
    return "".join(f"{proxy.address}\n" for proxy in proxies if proxy.protocol == "http")


def _with_bogus(proxies: Sequence[Proxy]) -> str:
    return "\r\n".join([*BOGUS, *_plain(proxies).split()])


def _with_scheme(proxies: Sequence[Proxy]) -> str:
    return "".join(f"{proxy.url}\n" for proxy in proxies)


def _objects(proxies: Sequence[Proxy]) -> str:
    rows = [
        {
            "protocol": proxy.protocol,
            "username": None,
            "password": None,
            "host": proxy.host,
            "port": proxy.port,
            "timeout": 0.18,
            "exit_ip": proxy.host,
            "asn": None,
            "geolocation": None,
        }
        for proxy in proxies
    ]
    return json.dumps(rows)


def _wrapped(proxies: Sequence[Proxy]) -> str:
    return json.dumps({"proxies": [proxy.url for proxy in proxies if proxy.protocol == "http"]}, indent=0)


def _geonode(proxies: Sequence[Proxy]) -> str:
    rows = [
        {
            "_id": f"{number:024x}",
            "ip": proxy.host,
            "anonymityLevel": "elite",
            "asn": "AS64496",
            "country": "US",
            "google": False,
            "lastChecked": 1_758_272_716,
            "latency": 184.703,
            "port": str(proxy.port),
            "protocols": [proxy.protocol],
            "speed": 1,
            "responseTime": 2711,
            **({"city": "New York", "isp": "Practice Carrier"} if number % 3 else {}),
        }
        for number, proxy in enumerate(proxies)
    ]
    return json.dumps({"data": rows, "total": len(rows), "page": 1, "limit": len(rows)})


def _table(proxies: Sequence[Proxy]) -> str:
    heads = "".join(f"<th>{name}</th>" for name in ("IP Address", "Port", "Code", "Country", "Anonymity", "Https"))
    rows = "".join(
        f"<tr><td>{escape(proxy.host)}</td><td>{proxy.port}</td><td>US</td><td class='hm'>United States</td>"
        "<td>elite proxy</td><td class='hx'>yes</td></tr>"
        for proxy in proxies
        if proxy.protocol == "http"
    )
    table = f'<table class="table" id="proxylisttable"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return f"<!doctype html><html><body>{table}</body></html>"


RAW = "raw.githubusercontent.com"
SOURCES: dict[tuple[str, str], tuple[str, Callable[[Sequence[Proxy]], str]]] = {
    (RAW, "/clarketm/proxy-list/master/proxy-list-raw.txt"): (TEXT, _plain),
    (RAW, "/TheSpeedX/PROXY-List/master/http.txt"): (TEXT, _with_bogus),
    (RAW, "/monosans/proxy-list/main/proxies/all.txt"): (TEXT, _with_scheme),
    (RAW, "/monosans/proxy-list/main/proxies.json"): (TEXT, _objects),
    (RAW, "/proxifly/free-proxy-list/main/proxies/all/data.txt"): (TEXT, _with_scheme),
    ("api.proxyscrape.com", "/v2/"): (TEXT, _plain),
    ("api.redscrape.com", "/proxies.json"): (JSON, _plain),  # says JSON, is lines
    ("api.practice-proxies.test", "/wrapped.json"): (JSON, _wrapped),
    ("proxylist.geonode.com", "/api/proxy-list"): (JSON, _geonode),
    ("free-proxy-list.net", "/"): (HTML, _table),
}
HOSTS = frozenset(host for host, _ in SOURCES)
