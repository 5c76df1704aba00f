"""tickerd as a hardened service of a real systemd, booted in private namespaces: started, killed, frozen, stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fix_daemon import wait_until
from tests.fix_systemd import SYSTEMD, USER, Guest

COMMAND = Path(sys.executable).with_name("tickerd")
FOLDER = "/srv/tickerd"
CONFIG = f"{FOLDER}/config.toml"
UNIT = "tickerd.service"
EVERYBODY = 7  # prices, metrics, daily, proxies, recorder, screener, api; who asks upstream waits for it
FULL = '[market]\ncalendar = "always"\n[supervisor]\nstop_timeout_s = 2\n[api]\nport = 0\n'
CHILDREN = 4  # without those who take longest to start
TOML = FULL + "enabled = false\n[screener]\nenabled = false\n[daily]\nenabled = false\n"
RUNTIME = f"/run/user/{USER}"


@pytest.fixture(scope="module")
def installed(guest: Guest) -> Guest:
    """The guest with tickerd as its service, as a user without rights."""
    guest.write(CONFIG, TOML)
    guest.does("chown", "-R", "tickerd", FOLDER)
    said = guest.does(COMMAND, "service", "install", "--config", CONFIG)
    assert said.splitlines() == [
        f"written: /etc/systemd/system/{UNIT}",
        "enabled: it starts when the machine does",
        "start it: systemctl start tickerd",
    ]
    return guest


@pytest.fixture
def service(installed: Guest) -> Iterator[Guest]:
    """The service, running."""
    installed.write(CONFIG, TOML)
    installed.does("systemctl", "restart", UNIT)
    family(installed)
    yield installed
    installed.run("systemctl", "stop", UNIT)
    installed.run("rm", "-rf", f"/etc/systemd/system/{UNIT}.d")


def family(guest: Guest, children: int = CHILDREN) -> list[int]:
    """Wait until everybody runs; return the main process and its children."""
    pids = wait_until(lambda: len(found := guest.processes(UNIT)) > children and found)
    return list(pids)


def main_pid(guest: Guest) -> int:
    return int(guest.shows(UNIT, "MainPID"))


def of_tickerd(guest: Guest) -> list[str]:
    """Return the command line of every tickerd process of the guest, wherever it is."""
    lines = guest.does("sh", "-c", "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < $f; echo; done").splitlines()
    return [line for line in lines if "core.child" in line or "tickerd run" in line]


def replaced(guest: Guest, old: list[int]) -> None:
    """Wait for a new family; assert that nobody of the old one is left."""
    wait_until(lambda: main_pid(guest) not in (0, old[0]))
    new = family(guest)
    assert not set(old) & set(new)
    assert len(of_tickerd(guest)) == len(new)


def test_a_start_runs_everybody_without_rights_and_a_stop_leaves_nobody(service: Guest) -> None:
    service.write(CONFIG, FULL)
    service.does("systemctl", "restart", UNIT)
    pids = family(service, EVERYBODY)
    assert service.shows(UNIT, "StatusText").startswith("market open, scanners ")
    assert service.does("stat", "-c", "%U", f"/proc/{pids[0]}").strip() == "tickerd"
    assert service.does(COMMAND, "service", "status").splitlines()[1:] == ["enabled: yes", "state: active"]

    service.does("systemctl", "stop", UNIT)
    assert service.shows(UNIT, "Result") == "success"
    assert (service.processes(UNIT), of_tickerd(service)) == ([], [])
    assert service.run(COMMAND, "service", "status").returncode == 3


def test_a_killed_orchestrator_is_replaced_and_leaves_nobody(service: Guest) -> None:
    old = family(service)
    assert old[0] == main_pid(service)
    service.does("kill", "-KILL", str(old[0]))
    replaced(service, old)
    assert service.shows(UNIT, "NRestarts") == "1"


def test_a_frozen_orchestrator_is_replaced_by_the_watchdog(service: Guest) -> None:
    service.write(f"/etc/systemd/system/{UNIT}.d/short.conf", "[Service]\nWatchdogSec=4\n")
    service.does("systemctl", "daemon-reload")
    service.does("systemctl", "restart", UNIT)
    old = family(service)
    wait_until(lambda: service.shows(UNIT, "StatusText") != "")
    service.does("kill", "-STOP", str(old[0]))
    wait_until(lambda: main_pid(service) not in (0, old[0]))
    replaced(service, old)
    assert service.shows(UNIT, "NRestarts") == "1"


def test_a_reload_reaches_it_and_a_wrong_configuration_changes_nothing(service: Guest) -> None:
    old = family(service)
    service.write(CONFIG, TOML + "[prices]\ncycle_s = 30\n")
    service.does("systemctl", "reload", UNIT)
    wait_until(lambda: len(set(family(service)) - set(old)) == 1)
    new = family(service)
    assert new[0] == old[0]
    service.write(CONFIG, TOML + "[prices]\ncycle_s = 0\n")
    assert service.run("systemctl", "reload", UNIT).returncode != 0
    service.does("kill", "-HUP", str(new[0]))
    wait_until(lambda: "reload_refused" in service.does("cat", f"{FOLDER}/logs/tickerd.jsonl"))
    assert service.shows(UNIT, "ActiveState") == "active"
    assert family(service) == new


def test_a_configuration_that_is_wrong_at_the_start_is_not_tried_again_and_again(service: Guest) -> None:
    service.write(CONFIG, "[prices]\ncycle_s = 0\n")
    service.run("systemctl", "restart", UNIT)
    wait_until(lambda: service.shows(UNIT, "ActiveState") == "failed")
    assert service.shows(UNIT, "ExecMainStatus") == "78"


def test_a_users_own_systemd_runs_the_users_unit(installed: Guest) -> None:
    guest = installed
    guest.write(CONFIG, TOML)
    guest.does("mkdir", "-p", RUNTIME)
    guest.does("chown", "tickerd", RUNTIME)
    manager = (
        f"[Service]\nUser=tickerd\nDelegate=yes\nEnvironment=XDG_RUNTIME_DIR={RUNTIME}\nExecStart={SYSTEMD} --user\n"
    )
    guest.write("/etc/systemd/system/manager.service", manager)
    guest.does("systemctl", "daemon-reload")
    guest.does("systemctl", "start", "manager")

    def as_user(*words: str | Path) -> str:
        done = guest.run("env", f"XDG_RUNTIME_DIR={RUNTIME}", f"HOME={FOLDER}", *words, user=USER)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    wait_until(lambda: guest.run("test", "-S", f"{RUNTIME}/systemd/private").returncode == 0)
    said = as_user(COMMAND, "service", "install", "--user", "--now", "--config", CONFIG)
    assert f"written: {FOLDER}/.config/systemd/user/{UNIT}" in said
    assert "started" in said
    wait_until(lambda: len(of_tickerd(guest)) == CHILDREN + 1)
    assert "state: active" in as_user(COMMAND, "service", "status", "--user")
    as_user(COMMAND, "service", "uninstall", "--user")
    assert of_tickerd(guest) == []
    guest.does("systemctl", "stop", "manager")


def test_an_uninstall_stops_it_and_takes_the_unit_away_and_nothing_else(service: Guest) -> None:
    service.does(COMMAND, "service", "uninstall")
    assert of_tickerd(service) == []
    assert service.shows(UNIT, "LoadState") == "not-found"
    assert service.run("test", "-e", f"{FOLDER}/tickerd.db").returncode == 0
    assert service.run(COMMAND, "service", "status").returncode == 3
    service.does(COMMAND, "service", "install", "--config", CONFIG)
