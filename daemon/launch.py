"""What a supervised child is started with: its command and its surroundings. Starts nothing."""

from __future__ import annotations

import importlib.util
import os
import secrets
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core.child import PARENT_VARIABLE
from core.program import SETTINGS_VARIABLE

BOOTSTRAP = "core.child_windows" if sys.platform == "win32" else "core.child"
PROXY_VARIABLES = {"http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "no_proxy"}
OWN_NOTIFY_VARIABLES = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}
"""What systemd tells this process alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to run, and in what surroundings."""

    arguments: Sequence[str]
    environ: Mapping[str, str]
    folder: Path


@cache
def run_token() -> str:
    """Return what the marks of all children of this process begin with."""
    return secrets.token_hex(8)


def launch(module: str, *, environ: Mapping[str, str], folder: Path, settings: Path, notify: str) -> Launch:
    """Return how `module` is started as a supervised child of this process."""
    kept = {
        name: value
        for name, value in environ.items()
        if name.lower() not in PROXY_VARIABLES and name not in OWN_NOTIFY_VARIABLES
    }
    own = {PARENT_VARIABLE: str(os.getpid()), SETTINGS_VARIABLE: str(settings), "PYTHONUNBUFFERED": "1"}
    if notify:
        own["NOTIFY_SOCKET"] = notify
    if sys.platform == "win32":
        own["PYTHONUTF8"] = "1"  # else its lines are in the code page of the country
    return Launch(arguments=supervised(module), environ=kept | own | tree_on_path(environ), folder=folder)


def supervised(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs `module` under the bootstrap of this system."""
    return (sys.executable, "-P", "-m", BOOTSTRAP, module, *arguments)


def tree_on_path(environ: Mapping[str, str]) -> dict[str, str]:
    """Return PYTHONPATH with the folder of the packages; nothing if they are installed."""
    tree = _tree_to_add()
    return (
        {"PYTHONPATH": os.pathsep.join(part for part in (tree, environ.get("PYTHONPATH", "")) if part)} if tree else {}
    )


@cache
def _tree_to_add() -> str:
    """The folder of the packages; empty if they are installed, as site-packages must not precede the library."""
    spec = importlib.util.find_spec("core")
    assert spec is not None and spec.origin is not None
    tree = Path(spec.origin).parent.parent
    installed = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    return "" if tree.resolve() in installed else str(tree)
