"""The shipped units are what `tickerd service install` writes, systemd takes them as they stand, and they give no more
rights than are needed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.units import NAME, Service, system_unit, user_unit

ROOT = Path(__file__).parents[1]
LARGEST_EXPOSURE = 2.0

SYSTEM_HEAD = """\
# tickerd as a system service. `tickerd service install` writes this file with the paths of its own
# installation; by hand:
#
#   python3 -m venv /opt/tickerd && /opt/tickerd/bin/pip install .
#   useradd --system --home-dir /var/lib/tickerd tickerd
#   cp systemd/tickerd.service /etc/systemd/system/ && systemctl enable --now tickerd
#
# Configuration, database, state and logs are in /var/lib/tickerd; put config.toml there.
"""
USER_HEAD = """\
# tickerd as a service of one user. `tickerd service install --user` writes this file with the paths of its own
# installation; by hand, with this repository and its .venv in ~/tickerd:
#
#   cp systemd/user/tickerd.service ~/.config/systemd/user/ && systemctl --user enable --now tickerd
#   loginctl enable-linger    # it runs also while you are not logged in
#
# Configuration, database, state and logs are in ~/tickerd.
"""
SHIPPED = {
    ROOT / "systemd" / NAME: system_unit(
        Service(command=("/opt/tickerd/bin/tickerd",), folder="/var/lib/tickerd", account="tickerd", state_folder=True),
        head=SYSTEM_HEAD,
    ),
    ROOT / "systemd" / "user" / NAME: user_unit(
        Service(command=("%h/tickerd/.venv/bin/tickerd",), folder="%h/tickerd", writable=("%h/tickerd",)),
        head=USER_HEAD,
    ),
}

with_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
each_unit = pytest.mark.parametrize("file", SHIPPED, ids=("system", "user"))


@each_unit
def test_the_shipped_unit_is_the_one_that_would_be_written(file: Path) -> None:
    assert file.read_text(encoding="utf-8") == SHIPPED[file]


def runnable(file: Path, folder: Path) -> Path:
    """The unit with a program that exists here."""
    text = SHIPPED[file].replace("/opt/tickerd/bin/tickerd", "/bin/true")
    copy = folder / NAME
    copy.write_text(text.replace("%h/tickerd/.venv/bin/tickerd", "/bin/true"), encoding="utf-8")
    return copy


def analyze(file: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    manager = ("--user",) if file.parent.name == "user" else ()
    command = ["systemd-analyze", *manager, *arguments]
    runtime = Path(arguments[-1]).parent
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}  # a user's manager does not run here
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


@with_systemd
@each_unit
def test_systemd_finds_no_fault_in_the_unit(file: Path, tmp_path: Path) -> None:
    """Without --recursive-errors=no a misspelt key passes with exit code 0."""
    done = analyze(file, "verify", "--recursive-errors=no", "--man=no", runnable(file, tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


@with_systemd
@each_unit
def test_a_misspelt_key_would_be_found(file: Path, tmp_path: Path) -> None:
    unit = runnable(file, tmp_path)
    unit.write_text(unit.read_text(encoding="utf-8").replace("Restart=always", "Restrat=always"), encoding="utf-8")
    assert analyze(file, "verify", "--recursive-errors=no", "--man=no", unit).returncode == 1


@with_systemd
@each_unit
def test_the_service_is_exposed_at_most_two_of_ten(file: Path, tmp_path: Path) -> None:
    threshold = f"--threshold={LARGEST_EXPOSURE * 10:.0f}"
    done = analyze(file, "security", "--offline=yes", threshold, runnable(file, tmp_path))
    assert done.returncode == 0, done.stdout[-300:]
    as_system = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", threshold, str(tmp_path / NAME)],
        capture_output=True,
        check=False,
    )
    assert as_system.returncode == 0
