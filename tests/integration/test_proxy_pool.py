"""The daemon keeps a pool: its process `proxies` is started like the others, says how it stands, and ends with them."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from proxies import pool
from simulator.testing import PracticeProcess
from storage.engine import open_reader_engine
from tests.fix_cli import family, running, tickerd
from tests.fix_daemon import wait_until

LIST = "https://raw.githubusercontent.com/monosans/proxy-list/main/proxies/all.txt"
CONFIG = """
[network]
proxy = "{proxy}"
ca_file = "{ca_file}"
start_requests_per_s = 50
max_requests_per_s = 50
[market]
calendar = "always"
[universe]
limit = 50
[prices]
enabled = false
[daily]
enabled = false
[api]
enabled = false
[proxies]
sources = ["{source}"]
own_networks = ["127.0.0.0/8"]
"""


def status(folder: Path) -> dict[str, Any]:
    return dict(json.loads(tickerd("status", "--json", folder=folder).out or "{}"))


def states(folder: Path) -> list[str]:
    engine = open_reader_engine(f"sqlite:///{folder / 'tickerd.db'}", service="test")
    try:
        return sorted(each.state for each in pool.load(engine, states=("live", "gold")))
    finally:
        engine.dispose()


def test_a_daemon_with_lists_keeps_a_pool_and_its_file(practice_process: PracticeProcess, tmp_path: Path) -> None:
    for protocol in ("http", "http", "socks5"):
        practice_process.add_proxies("good", protocol=protocol)
    practice_process.add_proxies("tamper_all")
    text = CONFIG.format(proxy=practice_process.proxy_url, ca_file=practice_process.ca_file, source=LIST)
    (tmp_path / "config.toml").write_text(text)
    with running("run", folder=tmp_path, output=tmp_path / "said") as popen:
        file = tmp_path / "http_proxies.txt"
        wait_until(file.exists, within_s=60.0)
        wait_until(lambda: states(tmp_path) == ["gold"] * 3, within_s=60.0)
        (mine,) = [each for each in status(tmp_path)["processes"] if each["name"] == "proxies"]
        assert (mine["state"], mine["restarts"]) == ("running", 0)
        popen.send_signal(signal.SIGTERM)
        assert popen.wait(60) == 0
        assert family(popen.pid) == []
    assert len(file.read_text().splitlines()) == 3
    shown = json.loads(tickerd("proxies", "list", "--json", folder=tmp_path).out)
    assert shown["counts"]["gold"] == 3
    assert all(each["exit_ip"].startswith("198.18.") for each in shown["proxies"])
