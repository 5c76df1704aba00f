"""START_PRODUCTION_SCANNERS.bat, run by the command interpreter."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BATCH = Path(__file__).parents[2] / "deploy" / "windows" / "START_PRODUCTION_SCANNERS.bat"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with blanks in its path, whose environment is set up already."""
    folder = tmp_path / "my stocks"
    (folder / "deploy" / "windows").mkdir(parents=True)
    shutil.copy(BATCH, folder / "deploy" / "windows")
    (folder / ".venv" / "Scripts").mkdir(parents=True)
    shutil.copy(Path(sys.executable).parent / "Scripts" / "tickerd.exe", folder / ".venv" / "Scripts")
    return folder


def started(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["cmd", "/c", str(project / "deploy" / "windows" / BATCH.name), *words],
        cwd=project.parent,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )


def test_what_is_given_to_it_goes_on_to_the_daemon(project: Path) -> None:
    ended = started(project, "--help")
    assert ended.returncode == 0
    assert "Keep the table fresh" in ended.stdout


def test_it_takes_the_projects_configuration_and_ends_with_the_daemons_exit_code(project: Path) -> None:
    (project / "config.toml").write_text("[prices]\ncycle = 5\n", encoding="utf-8")
    ended = started(project)
    assert (ended.returncode, ended.stdout) == (78, "")
    assert f"tickerd: {project / 'config.toml'}: prices.cycle: unknown key" in ended.stderr
