"""What a hostile list costs, and whether it can lead anybody anywhere: `python -m bench.proxies_harvest [--seed N]`.

Three parts, each in a process of its own: a poisoned list of 40,000 lines, read and sifted; lists made to be slow, five
megabytes each; every address of the poisoned list handed to the probe, with each connection and each look-up counted
by the interpreter itself (its audit events), and a listener where the list must not lead.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import ipaddress
import json
import random
import re
import resource
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from core.files import read_text
from proxies.addresses import AddressFilter, listed_networks
from proxies.formats.reading import read_list
from proxies.guard import EDGES, interface_addresses
from proxies.harvest import Source, sift
from proxies.model import Address
from proxies.probe import Probe

LINES = 40_000
SAFE = "127.9.0.0/16"
"""Stands for the world in the third part: nobody listens there, and a connection is refused at once."""
MEGABYTES = 5
SOURCE = Source(url="https://lists.example.net/poisoned")
ALLOWED_S = 3.0
NAIVE = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}:\d{1,5}")
"""As harvesters do it: what this finds, they connect to."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=PARTS)
    given = parser.parse_args()
    if given.part:
        print(json.dumps(PARTS[given.part](given.seed)))
        return
    for part in PARTS:
        command = [sys.executable, "-m", "bench.proxies_harvest", "--part", part, "--seed", str(given.seed)]
        done = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        print(f"\n{part}")
        for name, value in done.items():
            print(f"  {name:44} {value}")


def poisoned(seed: int, *, port: int = 8080) -> list[str]:
    """Return the lines of a list: 45 % edges of a delivery network, a third candidates of SAFE, the rest poison."""
    draw = random.Random(seed)
    edges = [ipaddress.IPv4Network(text) for text in listed_networks(read_text(EDGES))]
    makers: list[tuple[float, Callable[[], str]]] = [
        (0.45, lambda: f"{_within(draw, draw.choice(edges))}:80"),
        (0.33, lambda: f"{_within(draw, ipaddress.IPv4Network(SAFE))}:{draw.choice((80, 1080, 3128, 8080))}"),
        (0.08, lambda: f"{_within(draw, ipaddress.IPv4Network(draw.choice(INSIDE)))}:{draw.choice((80, 2375, 8080))}"),
        (0.05, lambda: draw.choice(ODD).format(port=port)),
        (0.04, lambda: f"8.8.8.{draw.randrange(256)}:{draw.choice((22, 25, 3306, 6379, 0, 65536, 99999))}"),
        (0.03, lambda: f"user:word@8.8.4.{draw.randrange(256)}:8080"),
        (0.02, lambda: "".join(map(chr, draw.choices(range(1, 256), k=draw.randrange(1, 200)))).replace("\n", "")),
    ]
    shares, make = zip(*makers, strict=True)
    return [chosen() for chosen in draw.choices(make, shares, k=LINES)]


INSIDE = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/16", "169.254.169.0/24", "172.16.0.0/12"),
    *("192.168.0.0/16", "192.0.2.0/24", "224.0.0.0/4", "240.0.0.0/4"),
)
ODD = (
    *("127.0.0.1:{port}", "127.1:{port}", "0x7f000001:{port}", "2130706433:{port}", "0177.0.0.1:{port}"),
    *("１２７.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "[::ffff:127.0.0.1]:{port}", "127.0.0.1.:{port}"),
    *("http://127.0.0.1:{port}/", "8.8.8.8:80@127.0.0.1:{port}", "http://8.8.8.8\\@127.0.0.1:{port}"),
    *("metadata.google.internal:80", "redis:6379", "10.0.0.0/8", "file:///etc/passwd", "127.0.0.1:{port}\x1b[2J"),
)


def _within(draw: random.Random, network: ipaddress.IPv4Network) -> ipaddress.IPv4Address:
    return network[draw.randrange(network.num_addresses)]


def addresses() -> AddressFilter:
    return AddressFilter(
        own_networks=[SAFE], own_addresses=interface_addresses(), edges=listed_networks(read_text(EDGES))
    )


def read_poisoned(seed: int) -> dict[str, Any]:
    """Read and sift the list once."""
    body = "\n".join(poisoned(seed)).encode()
    allowed = addresses()
    before_mb = _rss_mb()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    sifted = sift(read_list(body), SOURCE, addresses=allowed, refused=())
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    began_naive_s = time.process_time()
    naive = {found.split(":")[0] for found in NAIVE.findall(body.decode())}
    naive_s = time.process_time() - began_naive_s
    refused = sum(allowed.refusal(ip, 8080) is not None for ip in naive)
    assert wall_s < ALLOWED_S
    return {
        "lines": LINES,
        "bytes": len(body),
        f"seconds (wall; at most {ALLOWED_S:g})": round(wall_s, 3),
        "seconds (CPU)": round(cpu_s, 3),
        "resident memory more, MB": round(_rss_mb() - before_mb, 1),
        "candidates": len(sifted.accepted),
        "refused": dict(sifted.refused.most_common()),
        "a pattern alone, seconds (CPU)": round(naive_s, 3),
        "of the hosts that it finds, refused here": f"{refused:,} of {len(naive):,}",
    }


def read_shapes(_seed: int) -> dict[str, Any]:
    """Read lists made to be slow, one after the other."""
    took = {}
    before_mb = _rss_mb()
    for name, body in _slow_ones():
        began_s = time.process_time()
        sift(read_list(body), SOURCE, addresses=addresses(), refused=())
        took[name] = round(time.process_time() - began_s, 2)
    slowest = max(took, key=lambda name: took[name])
    return {
        "lists": len(took),
        "megabytes each": MEGABYTES,
        "slowest, seconds (CPU)": f"{took[slowest]} ({slowest})",
        "resident memory more at most, MB": round(_peak_mb() - before_mb),
        "all": took,
    }


def _slow_ones() -> Iterator[tuple[str, bytes]]:
    size = MEGABYTES << 20
    repeated = {
        "one word": b"a",
        "line ends": b"\n",
        "short lines": b"a\n",
        "short words": b"a ",
        "brackets": b"<",
        "cells": b"<td>",
        "rows of cells": b"<tr><td>x",
        "ampersands": b"<pre>&#",
        "at signs": b"a@" * 140 + b"\n",
        "colons": b"a:" * 140 + b"\n",
        "numbers and dots": b"1.1.1.1 ",
        "control characters": bytes(range(32)),
        "addresses": b"1.2.3.4:80\n",
        "objects by line": b"{}\n",
        "packed addresses": base64.b64encode(b"9.9.9.9:8080") + b"\n",
    }
    for name, piece in repeated.items():
        yield name, piece * (size // len(piece))
    yield "blanks", b" " * size + b"!"
    yield "base64 with a wrong end", b"A" * size + b"!"
    yield "a quote without end", b'ip,port\n"' + b"a," * (size // 2)
    for name, piece in {"open lists": b"[", "numbers": b"1,", "texts": b'"a",', "objects": b'{"a":{}},'}.items():
        yield f"JSON: {name}", b"[" + piece * (size // len(piece)) + b"0]"
    yield "JSON: proxies", b"[" + b'{"ip":"1.2.3.4","port":80},' * (size // 27) + b"{}]"


def probe_everything(seed: int) -> dict[str, Any]:
    """Hand every address that the list names, refused or not, to the probe, and count what leaves the process."""
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.setblocking(False)
        port = inside.getsockname()[1]
        body = "\n".join(poisoned(seed, port=port)).encode()
        entries = read_list(body).entries
        allowed = addresses()
        connected: Counter[str] = Counter()
        looked_up: Counter[str] = Counter()

        def heard(event: str, details: tuple[Any, ...]) -> None:
            if event == "socket.connect":
                connected[f"{details[1][0]}:{details[1][1]}"] += 1
            elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
                looked_up[str(details[0])] += 1

        sys.addaudithook(heard)
        asyncio.run(_probe_all([Address("http", entry.ip, entry.port) for entry in entries], allowed))
        knocks = _knocks(inside)
    accepted = {a.text for a in sift(read_list(body), SOURCE, addresses=allowed, refused=()).accepted}
    wrong = {text for text in connected if text not in accepted}
    assert not wrong
    assert not looked_up
    assert not knocks
    return {
        "addresses handed to the probe": len(entries),
        "of these refused at the last moment": sum(allowed.refusal(e.ip, e.port) is not None for e in entries),
        "connections begun": connected.total(),
        "of these to refused addresses": len(wrong),
        "names looked up": looked_up.total(),
        "connections at the listener inside": knocks,
    }


async def _probe_all(wanted: list[Address], allowed: AddressFilter) -> None:
    probe = Probe(refusal=allowed.refusal)
    for start in range(0, len(wanted), 256):
        await asyncio.gather(*(probe.ask(address) for address in wanted[start : start + 256]))


def _knocks(listening: socket.socket) -> int:
    count = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def _rss_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "A poisoned list": read_poisoned,
    "Lists made to be slow": read_shapes,
    "Where they lead": probe_everything,
}

if __name__ == "__main__":
    main()
