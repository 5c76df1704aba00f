from __future__ import annotations

import getpass
import os
import shutil
import sys
from pathlib import Path

import pytest

from cli import service
from cli.common import load
from tests.fix_cli import Run

UNIT = "tickerd.service"

with_systemctl = pytest.mark.skipif(shutil.which("systemctl") is None, reason="systemctl is not installed")


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into this machine's own units."""
    monkeypatch.setattr(service, "SYSTEM_UNITS", tmp_path / "units")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(service, "BOOTED", tmp_path / "not booted")


@with_systemctl
def test_a_dry_run_prints_the_unit_with_this_installations_paths_and_writes_nothing(here: Run, tmp_path: Path) -> None:
    lines = here("service", "install", "--dry-run").out.splitlines()
    assert f"ExecStart={Path(sys.executable).with_name('tickerd')} run" in lines
    assert {"User=tickerd", "WorkingDirectory=/var/lib/tickerd", "StateDirectory=tickerd"} <= set(lines)
    assert list(tmp_path.iterdir()) == []


@with_systemctl
def test_a_configuration_brings_its_folder_its_owner_and_all_that_is_written(here: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[logging]\ndir = "/var/log/tickerd"\n[backup]\nenabled = true\ndir = "/b"\n')
    lines = here("service", "install", "--dry-run", "--run-as", "me").out.splitlines()
    assert f"WorkingDirectory={tmp_path}" in lines
    assert f"ReadWritePaths=/b {tmp_path} /var/log/tickerd" in lines
    assert "User=me" in lines
    assert not [line for line in lines if line.startswith("StateDirectory")]
    assert any(line.endswith(f" run --config {tmp_path}/config.toml") for line in lines)
    for_user = here("service", "install", "--dry-run", "--user").out.splitlines()
    assert "WantedBy=default.target" in for_user


@with_systemctl
def test_a_script_gets_one_document_of_each_step(here: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    file = tmp_path / "own" / "systemd" / "user" / UNIT
    dry = here("service", "install", "--user", "--dry-run", "--json").json()
    assert (dry["unit"], "ExecStart=" in dry["text"], file.exists()) == (str(file), True, False)
    installed = here("service", "install", "--user", "--json").json()
    assert installed == {"version": 1, "unit": str(file), "installed": True, "enabled": True, "started": False}
    removed = here("service", "uninstall", "--user", "--json").json()
    assert removed == {"version": 1, "unit": str(file), "installed": False}


@with_systemctl
def test_a_users_service_comes_and_goes_also_where_systemd_does_not_run(here: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("")
    file = tmp_path / "own" / "systemd" / "user" / UNIT
    assert here("service", "install", "--user").out.splitlines() == [
        f"written: {file}",
        "enabled: it starts when you log in",
        "this user's systemd does not run here: the service starts with it",
    ]
    assert file.exists()
    shown = here("service", "status", "--user", "--json")
    assert shown.code == 3
    assert (
        shown.json().items() >= {"installed": True, "enabled": True, "systemd_runs": False, "state": "unknown"}.items()
    )
    assert "does not run here" in here("service", "status", "--user").out

    assert here("service", "uninstall", "--user").out == f"removed: {file}\n"
    assert list((tmp_path / "own").rglob("*.service")) == []
    here("service", "uninstall", "--user").fails(1, f"{UNIT}: is not there")
    assert here("service", "status", "--user", "--json").json()["installed"] is False


@with_systemctl
def test_what_would_fail_at_the_start_is_refused_at_once(here: Run, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        here("service", "install").fails(78, "a system service is root's; use sudo, or give --user")
    else:
        here("service", "install", "--run-as", "nobody-here").fails(78, "there is no user nobody-here", "useradd")
        (tmp_path / "config.toml").write_text("")
        here("service", "install", "--run-as", "daemon").fails(78, f"{tmp_path}: belongs to another user", "chown")
    (tmp_path / "config.toml").write_text(f'[logging]\ndir = "{tmp_path.parent / "absent"}"\n')
    here("service", "install", "--user").fails(78, "absent: is not there; make it")
    (tmp_path / "config.toml").write_text("[prices]\ncycle_s = 0\n")
    here("service", "install", "--user").fails(78, "prices.cycle_s")
    assert list(tmp_path.rglob("*.service")) == []


def test_a_system_without_systemd_is_told_what_to_do_instead(here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for command in ("install", "uninstall", "status"):
        here("service", command).fails(78, "this system has no systemd; run `tickerd run` under your own supervisor")


def test_a_configuration_of_roots_is_run_by_tickerd_and_anybody_elses_by_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("")
    owner = getpass.getuser()
    assert service._owner(load(str(file))) == ("tickerd" if owner == "root" else owner)


@with_systemctl
def test_a_folder_whose_owner_has_no_name_is_told_in_one_line(
    here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nameless(_folder: Path) -> str:
        raise KeyError("uid not found")

    (tmp_path / "config.toml").touch()
    monkeypatch.setattr(Path, "owner", nameless)
    done = here("service", "install", "--dry-run")
    assert done.code == 78
    assert "belongs to a user without a name; chown it, or give --run-as" in done.err
