"""The unit file is one that systemd takes as it stands, and that gives the service no more rights than it needs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "tickerd.service"
LARGEST_EXPOSURE = 2.0

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that exists here."""
    text = UNIT.read_text(encoding="utf-8")
    assert "/opt/tickerd/bin/tickerd run" in text
    file = tmp_path / UNIT.name
    file.write_text(text.replace("/opt/tickerd/bin/tickerd", "/bin/true"), encoding="utf-8")
    return file


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def test_systemd_finds_no_fault_in_the_unit(unit: Path) -> None:
    """Without --recursive-errors=no a misspelt key passes with exit code 0."""
    done = analyze("verify", "--recursive-errors=no", "--man=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_misspelt_key_would_be_found(unit: Path) -> None:
    unit.write_text(unit.read_text(encoding="utf-8").replace("Restart=always", "Restrat=always"), encoding="utf-8")
    assert analyze("verify", "--recursive-errors=no", "--man=no", str(unit)).returncode == 1


def test_the_service_is_exposed_at_most_two_of_ten(unit: Path) -> None:
    threshold = str(round(LARGEST_EXPOSURE * 10))
    done = analyze("security", "--offline=yes", f"--threshold={threshold}", str(unit))
    assert done.returncode == 0, done.stdout[-300:]
