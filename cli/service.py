"""`tickerd service`: writes and enables the systemd unit of this installation, and takes it away again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from cli.common import load, print_json, with_both
from core.config import Loaded
from core.errors import EXIT_DONE, EXIT_NOT_RUNNING, FixByHand, TickerdError
from core.files import write_atomic, writing
from core.settings import Settings
from daemon.units import NAME, Service, in_homes, literal, system_unit, user_unit

assert sys.platform != "win32"  # its twin is service_windows.py

SYSTEM_UNITS = Path("/etc/systemd/system")
STATE_FOLDER = Path("/var/lib/tickerd")
ACCOUNT = "tickerd"
BOOTED = Path("/run/systemd/system")
"""There while systemd is the init of this machine: sd_booted(3)."""

for_user = click.option("--user", is_flag=True, help="A service of this user instead of the system's.")


@click.group()
def service() -> None:
    """Run tickerd as a service of systemd."""


@service.command(short_help="Write and enable the unit.")
@for_user
@click.option("--dry-run", is_flag=True, help="Print the unit; write nothing.")
@click.option("--now", is_flag=True, help="Start it as well.")
@click.option("--run-as", metavar="USER", help="Who runs it. Default: who owns the configuration's folder, or tickerd.")
@with_both
def install(user: bool, dry_run: bool, now: bool, run_as: str | None, config_file: str | None, as_json: bool) -> None:
    """Write the unit with the paths of this installation and configuration, and enable it."""
    _systems_with_systemd()
    loaded = load(config_file)
    account = "" if user else run_as or _owner(loaded)
    unit = _unit(loaded, account, user=user)
    file = _folder(user) / NAME
    if dry_run:
        if as_json:
            print_json({"unit": str(file), "text": unit})
        else:
            click.echo(unit, nl=False)
        return
    if not user:
        _as_root()
    _check_folders(loaded, os.geteuid() if user else _number(account))
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, unit.encode())
    tell = _teller(as_json)
    tell(f"written: {file}")
    _systemctl(user, "enable", NAME)
    tell("enabled: it starts when the machine does" if not user else "enabled: it starts when you log in")
    started = _take_up(user, tell, now=now)
    if as_json:
        print_json({"unit": str(file), "installed": True, "enabled": True, "started": started})


@service.command(short_help="Stop it and remove the unit.")
@for_user
@with_both
def uninstall(user: bool, config_file: str | None, as_json: bool) -> None:
    """Stop the service, disable it and remove its unit. Configuration, database, state and logs stay."""
    _systems_with_systemd()
    load(config_file)
    file = _folder(user) / NAME
    if not file.exists():
        raise TickerdError("is not there", where=str(file), right="nothing is to be removed")
    if not user:
        _as_root()
    _systemctl(user, "disable", *(("--now",) if _runs(user) else ()), NAME)
    with writing(file, done="removed"):
        file.unlink()
    _teller(as_json)(f"removed: {file}")
    if _runs(user):
        _systemctl(user, "daemon-reload")
    if as_json:
        print_json({"unit": str(file), "installed": False})


@service.command()
@for_user
@with_both
def status(user: bool, config_file: str | None, as_json: bool) -> int:
    """Show whether the service is installed, enabled and running. Exit 0: it runs; 3: it does not."""
    _systems_with_systemd()
    load(config_file)
    file, runs = _folder(user) / NAME, _runs(user)
    document: dict[str, Any] = {
        "unit": str(file),
        "installed": file.exists(),
        "enabled": _said(user, "is-enabled") in ("enabled", "enabled-runtime"),
        "systemd_runs": runs,
        "state": _said(user, "is-active") if runs else "unknown",
    }
    if as_json:
        print_json(document)
    else:
        click.echo(f"{file}: {'installed' if document['installed'] else 'not installed'}")
        click.echo(f"enabled: {'yes' if document['enabled'] else 'no'}")
        click.echo(f"state: {document['state']}" if runs else _asleep(user))
    return EXIT_DONE if document["state"] == "active" else EXIT_NOT_RUNNING


def _systems_with_systemd() -> None:
    if shutil.which("systemctl") is None:
        right = "run `tickerd run` under your own supervisor, or `nohup tickerd run &`"
        raise FixByHand("systemctl is not installed: this system has no systemd", where="service", right=right)


def _as_root() -> None:
    if os.geteuid() != 0:
        raise FixByHand("a system service is root's", where="service", right="use sudo, or give --user")


def _unit(loaded: Loaded, account: str, *, user: bool) -> str:
    file, settings = loaded.file, loaded.settings
    own = not user and file is None
    folder = STATE_FOLDER if own else file.parent if file else Path.cwd()
    writable = [] if own else _outermost([folder, *_folders(settings)])
    service = Service(
        command=[literal(Path(word)) for word in _command()],
        folder=literal(folder),
        config=literal(file) if file else "",
        account=account,
        writable=[literal(each) for each in writable],
        state_folder=own,
        reads_homes=in_homes([folder, *writable, Path(sys.prefix), Path(sys.base_prefix)]),
    )
    return user_unit(service) if user else system_unit(service)


def _command() -> list[str]:
    """The `tickerd` of this very Python."""
    program = Path(sys.executable).with_name("tickerd")
    return [str(program)] if program.exists() else [sys.executable, "-P", "-m", "cli.main"]


def _folders(settings: Settings) -> list[Path]:
    """Where the processes write."""
    folders = [Path(settings.state.dir), Path(settings.logging.dir), Path(settings.proxies.file).parent]
    if settings.database.url.startswith("sqlite:///"):
        folders.append(Path(settings.database.url.removeprefix("sqlite:///")).parent)
    return [*folders, Path(settings.backup.dir)] if settings.backup.enabled else folders


def _outermost(folders: list[Path]) -> list[Path]:
    return sorted(
        {each for each in folders if not any(each != other and each.is_relative_to(other) for other in folders)}
    )


def _owner(loaded: Loaded) -> str:
    try:
        owner = loaded.file.parent.owner() if loaded.file else ACCOUNT
    except KeyError:
        right = "chown it, or give --run-as"
        raise FixByHand("belongs to a user without a name", where=str(loaded.file), right=right) from None
    return ACCOUNT if owner == "root" else owner


def _number(account: str) -> int:
    import pwd  # here, as Windows has none

    try:
        return pwd.getpwnam(account).pw_uid
    except KeyError:
        right = f"make it: useradd --system --home-dir {STATE_FOLDER} {account}; or give --run-as"
        raise FixByHand(f"there is no user {account}", where="service", right=right) from None


def _check_folders(loaded: Loaded, number: int) -> None:
    """Refuse a folder that is not there, or that user `number` may not write: the service would fail at its start."""
    if loaded.file is None:
        return
    for folder in _outermost([loaded.file.parent, *_folders(loaded.settings)]):
        if not folder.is_dir():
            raise FixByHand("is not there", where=str(folder), right="make it")
        if number not in (0, folder.stat().st_uid):
            right = f"chown {number} {folder}; or give --run-as"
            raise FixByHand(f"belongs to another user than {number}, who runs it", where=str(folder), right=right)


def _folder(user: bool) -> Path:
    if not user:
        return SYSTEM_UNITS
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def _runs(user: bool) -> bool:
    """Whether a manager is there to be asked."""
    if not user:
        return BOOTED.exists()
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return bool(runtime) and (Path(runtime) / "systemd" / "private").exists()


def _asleep(user: bool) -> str:
    whose = "this user's systemd" if user else "systemd"
    return f"{whose} does not run here: the service starts with it"


def _teller(as_json: bool) -> Callable[[str], None]:
    """Return how to say a line: beside the document, not in it."""
    return partial(click.echo, err=as_json)


def _take_up(user: bool, tell: Callable[[str], None], *, now: bool) -> bool:
    """Let a running systemd know of the unit; return whether the service was started."""
    if not _runs(user):
        tell(_asleep(user))
        return False
    _systemctl(user, "daemon-reload")
    manager = " --user" if user else ""
    if now:
        _systemctl(user, "restart", NAME)
        tell("started")
    else:
        tell(f"start it: systemctl{manager} start tickerd")
    if user:
        tell("to have it run while you are not logged in: loginctl enable-linger")
    return now


def _systemctl(user: bool, *words: str) -> None:
    done = _ran(user, *words)
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        manager = "systemctl --user" if user else "systemctl"
        right = f"look at `{manager} status tickerd` and into the daemon's log"
        raise TickerdError(said, where=f"{manager} {' '.join(words)}", right=right)


def _said(user: bool, word: str) -> str:
    return _ran(user, word, NAME).stdout.strip()


def _ran(user: bool, *words: str) -> subprocess.CompletedProcess[str]:
    manager = ("--user",) if user else ()
    return subprocess.run(["systemctl", *manager, *words], capture_output=True, text=True, check=False)
