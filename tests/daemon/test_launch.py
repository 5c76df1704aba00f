from __future__ import annotations

import os
import sys
from pathlib import Path

from daemon.launch import BOOTSTRAP, launch, run_token, supervised, tree_on_path
from tests.fix_daemon import ROOT


def test_a_child_gets_its_parent_its_settings_and_no_proxy(tmp_path: Path) -> None:
    environ = {"HOME": "/h", "HTTPS_PROXY": "http://x", "no_proxy": "y", "NOTIFY_SOCKET": "/up", "PYTHONPATH": "/more"}
    start = launch("scanners.prices", environ=environ, folder=tmp_path, settings=tmp_path / "s.json", notify="@a")
    assert start.arguments == (sys.executable, "-P", "-m", BOOTSTRAP, "scanners.prices")
    assert start.environ == {
        "HOME": "/h",
        "NOTIFY_SOCKET": "@a",
        "PYTHONPATH": f"{ROOT}{os.pathsep}/more",
        "PYTHONUNBUFFERED": "1",
        "TICKERD_PARENT_PID": str(os.getpid()),
        "TICKERD_SETTINGS": str(tmp_path / "s.json"),
        **({"PYTHONUTF8": "1"} if sys.platform == "win32" else {}),
    }


def test_a_child_whose_supervisor_needs_no_address_gets_none(tmp_path: Path) -> None:
    start = launch("a", environ={"NOTIFY_SOCKET": "/up"}, folder=tmp_path, settings=tmp_path, notify="")
    assert "NOTIFY_SOCKET" not in start.environ


def test_a_modules_own_arguments_follow_it() -> None:
    assert supervised("cli.main", "run")[-2:] == ("cli.main", "run")


def test_the_tree_comes_before_what_the_path_held() -> None:
    assert tree_on_path({"PYTHONPATH": "/more"}) == {"PYTHONPATH": f"{ROOT}{os.pathsep}/more"}
    assert tree_on_path({}) == {"PYTHONPATH": str(ROOT)}


def test_one_process_has_one_token() -> None:
    assert run_token() == run_token() and len(run_token()) == 16
