from __future__ import annotations

import json
import re
import signal
import ssl
import tomllib
from pathlib import Path

import pytest

from cli.simulate import simulator_command, wait_until_ready
from core.errors import RetryLater
from simulator.running import RemoteMarket
from tests.fix_cli import family, running, tickerd
from tests.fix_daemon import is_alive, wait_until


def test_the_command_line_names_every_part_of_the_market() -> None:
    command = simulator_command(
        Path("ca.pem"), Path("r.json"), universe=Path("u.txt"), script=None, fleet="", fault=("mute=1s", "refuse")
    )
    files = ["--ca-file", "ca.pem", "--ready-file", "r.json"]
    rest = ["--universe=u.txt", "--fault=mute=1s", "--fault=refuse"]
    assert command[1:] == ["-P", "-m", "core.child", "simulator", *files, *rest]


def test_a_market_that_ends_before_it_is_ready_is_said(tmp_path: Path) -> None:
    with pytest.raises(RetryLater, match=r"did not start \(exit code 7\)"):
        wait_until_ready(tmp_path / "ready.json", lambda: 7)


def test_it_tells_the_settings_that_lead_to_it_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    output = tmp_path / "said"
    (tmp_path / "u.txt").write_text("AAPL\nF\n")

    with running("simulate", "--universe", "u.txt", folder=tmp_path, output=output) as market:
        wait_until(lambda: "ca_file = " in output.read_text())
        text = "\n".join(line for line in output.read_text().splitlines() if line.startswith(("[", "proxy =", "ca_")))
        network = tomllib.loads(text)["network"]
        assert network["proxy"].startswith("http://127.0.0.1:")
        assert ssl.create_default_context(cafile=network["ca_file"]).cert_store_stats()["x509_ca"] == 1
        (child,) = family(market.pid)
        market.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGINT)  # a terminal sends it to both
        assert market.wait(10) == 0
    assert "Traceback" not in output.read_text()


def test_its_json_is_one_document_and_a_kill_leaves_nothing_behind(tmp_path: Path) -> None:
    output = tmp_path / "said"
    (tmp_path / "u.txt").write_text("AAPL\n")

    with running("simulate", "--json", "--universe", "u.txt", folder=tmp_path, output=output) as market:
        line = wait_until(lambda: [each for each in output.read_text().splitlines() if each.startswith('{"version"')])
        document = json.loads(line[0])
        assert document.keys() == {"version", "proxy_url", "ca_file", "control", "pid", "proxies"}
        assert document["version"] == 1
        market.kill()
        wait_until(lambda: not is_alive(document["pid"]))


def test_what_the_market_refuses_is_one_line(tmp_path: Path) -> None:
    tickerd("simulate", "--universe", "nowhere.txt", folder=tmp_path).fails(78, "nowhere.txt: cannot be read")
    tickerd("simulate", "--listen", "0.0.0.0:0", folder=tmp_path).fails(78, "not a loopback address; use 127.0.0.1:0")


def test_a_running_market_takes_orders_from_the_command_line(tmp_path: Path) -> None:
    output = tmp_path / "said"
    (tmp_path / "u.txt").write_text("AAPL\n")
    options = ["--universe", "u.txt", "--fleet", "good=1,dead/socks5=1", "--fault", "mute=1h"]
    with running("simulate", *options, folder=tmp_path, output=output):
        control = wait_until(lambda: re.search(r"control port is (\S+):", output.read_text()))[1]
        assert len(re.findall(r"^(http|socks5) +127\.0\.0\.1:\d+ +(good|dead)$", output.read_text(), re.MULTILINE)) == 2
        ordered = tickerd("simulate", "--to", control, "--clear", "--fault", "html", folder=tmp_path)
        assert (ordered.code, ordered.out, ordered.err) == (0, "", "")
        assert [fault["name"] for fault in RemoteMarket(control).faults_on()] == ["html"]
        tickerd("simulate", "--to", control, "--fault", "moot", folder=tmp_path).fails(
            78, "'moot' is no fault; known: "
        )


def test_the_list_of_faults_is_shown(tmp_path: Path) -> None:
    told = tickerd("simulate", "--list", folder=tmp_path)
    assert (told.code, told.err) == (0, "")
    assert "\nmute " in told.out
