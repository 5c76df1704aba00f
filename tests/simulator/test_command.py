from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import structlog

from simulator import testing
from simulator.command import main
from simulator.testing import PracticeProcess
from tests.fix_ports import deaf_port


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    files = ["--ca-file", str(folder / "ca.pem"), "--ready-file", str(folder / "ready.json")]
    command = [sys.executable, "-m", "simulator", *files, *arguments]
    return subprocess.run(command, cwd=testing.ROOT, text=True, capture_output=True, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--listen", "0.0.0.0:0"], "not a loopback address; use 127.0.0.1:0"),
        (["--listen", "127.0.0.1"], "has no port; use 127.0.0.1:0"),
        (["--listen", "127.0.0.1:70000"], "has no port; use 127.0.0.1:0"),
        (["--universe", "/nowhere/tickers.txt"], "/nowhere/tickers.txt: cannot be read"),
        (["--calendar", "file:/nowhere/day.csv"], "/nowhere/day.csv"),
        (["--ready-file", "/nowhere/ready.json"], "/nowhere/ready.json: cannot be written"),
        (["--control", "0.0.0.0:0"], "--control: '0.0.0.0' is not a loopback address; use 127.0.0.1:0"),
        (["--fault", "moot"], "--fault: 'moot' is no fault; known: answer, "),
        (["--fleet", "nice=1"], "--fleet: 'nice' is no kind of proxy; known: auth, "),
        (["--script", "/nowhere/day.toml"], "/nowhere/day.toml: cannot be read"),
        (["--clear"], "--clear: of which market?; say it with --to HOST:PORT"),
        (["--to", "here"], "control: 'here' has no port"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_78(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    (tmp_path / "tickers.txt").write_text("AAPL\n")
    files = {"--ca-file": "ca.pem", "--ready-file": "ready.json", "--universe": "tickers.txt"}
    given = [word for option, name in files.items() for word in (option, str(tmp_path / name))]

    code = main([*given, *arguments])
    structlog.reset_defaults()

    said = capsys.readouterr()
    assert code == 78
    assert said.err.startswith("tickerd: ")
    assert reason in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_the_process_ends_with_the_exit_code_and_the_line(tmp_path: Path) -> None:
    ended = run(tmp_path, "--fault", "moot")

    assert (ended.returncode, ended.stdout) == (78, "")
    assert ended.stderr.startswith("tickerd: --fault: 'moot' is no fault; known: answer, ")


def test_a_port_in_use_is_exit_75(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run(tmp_path, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")

    assert ended.returncode == 75
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with testing.process(tmp_path) as running:
        running.process.send_signal(number)

        assert running.process.wait(timeout=60) == 0


def test_connected_clients_do_not_hold_it_up(tmp_path: Path) -> None:
    with testing.process(tmp_path) as running:
        proxy = urlsplit(running.proxy_url)
        with socket.create_connection((proxy.hostname, proxy.port)) as client:
            client.sendall(b"CONNECT fc.yahoo.com:443 HTTP/1.1\r\nHost: fc.yahoo.com\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
            running.process.send_signal(signal.SIGTERM)

            assert running.process.wait(timeout=60) == 0


def test_the_ready_file_says_how_to_get_in(practice_process: PracticeProcess) -> None:
    ready = json.loads((practice_process.ca_file.parent / "practice-ready.json").read_text())

    assert ready == {
        "proxy_url": practice_process.proxy_url,
        "ca_file": str(practice_process.ca_file),
        "control": practice_process.control,
        "pid": practice_process.process.pid,
        "proxies": [],
    }
    assert practice_process.ca_file.read_text().startswith("-----BEGIN CERTIFICATE-----")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_connected_stream_is_ended_without_a_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    with testing.process(tmp_path) as running:
        proxy, host = urlsplit(running.proxy_url), "streamer.finance.yahoo.com"
        with socket.create_connection((proxy.hostname, proxy.port)) as client:
            client.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            client.recv(100)
            trust = ssl.create_default_context(cafile=running.ca_file)
            with trust.wrap_socket(client, server_hostname=host):
                running.process.send_signal(number)
                assert running.process.wait(timeout=60) == 0
    assert "Traceback" not in capfd.readouterr().err


def test_the_list_tells_faults_and_proxies(tmp_path: Path) -> None:
    ended = run(tmp_path, "--list")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\nmute " in ended.stdout
    assert "\nown_certificate " in ended.stdout


def test_a_market_that_runs_is_ordered_by_its_control_port(practice_process: PracticeProcess, tmp_path: Path) -> None:
    done = run(tmp_path, "--to", practice_process.control, "--fault", "mute=30s", "--fault", "html")
    assert (done.returncode, done.stderr) == (0, "")
    assert [fault["name"] for fault in practice_process.faults_on()] == ["mute", "html"]

    refused = run(tmp_path, "--to", practice_process.control, "--clear", "--fault", "moot")
    assert refused.returncode == 78
    assert len(practice_process.faults_on()) == 2

    assert run(tmp_path, "--to", practice_process.control, "--clear", "--fault", "refuse").returncode == 0
    assert [fault["name"] for fault in practice_process.faults_on()] == ["refuse"]


def test_a_market_that_does_not_run_is_exit_3(tmp_path: Path) -> None:
    with deaf_port() as port:
        address = f"127.0.0.1:{port}"
        ended = run(tmp_path, "--to", address, "--fault", "mute")

    assert ended.returncode == 3
    assert f"{address}: no practice market answers" in ended.stderr


def test_script_options_and_fleet_are_there_from_the_start(tmp_path: Path) -> None:
    script = tmp_path / "day.toml"
    script.write_text('[[proxies]]\nkind = "good"\n[[step]]\nfault = "mute"\n[[step]]\nat_s = 3600\nfault = "html"\n')
    options = ["--script", str(script), "--fleet", "dead=1", "--fault", "refuse"]
    with testing.process(tmp_path, *options) as market:
        assert [fault["name"] for fault in market.faults_on()] == ["mute", "refuse"]
        assert [member.kind for member in market.proxies()] == ["good", "dead"]
        ready = json.loads((tmp_path / "practice-ready.json").read_text())
        assert [proxy["kind"] for proxy in ready["proxies"]] == ["good", "dead"]
