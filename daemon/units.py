"""The text of tickerd's systemd units, for a system or a user's own manager. Writes nothing, asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

NAME = "tickerd.service"
HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
"""What `ProtectHome=yes` hides."""

COMMON = """\
Type=notify
NotifyAccess=main
WatchdogSec=30
ExecStart={start}
ExecReload={reload}
Restart=always
RestartSec=1
# 78: the configuration is wrong, a person must act.
RestartPreventExitStatus=78
# TERM goes to the daemon, which stops its children; what is left after that is killed.
KillMode=mixed
TimeoutStopSec=20
OOMPolicy=continue
{place}
LimitNOFILE=8192
TasksMax=256

NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome={homes}
PrivateTmp=yes
PrivateDevices=yes
PrivateMounts=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
KeyringMode=private
CapabilityBoundingSet=
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
"""

SYSTEM = """\
{head}[Unit]
Description=tickerd: keeps one SQL table of the US stock market fresh
Wants=network-online.target
After=network-online.target
# The daemon backs off by itself; systemd must never give up on it.
StartLimitIntervalSec=0

[Service]
{common}RemoveIPC=yes
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"""

USER = """\
{head}[Unit]
Description=tickerd: keeps one SQL table of the US stock market fresh
# The daemon backs off by itself; systemd must never give up on it.
StartLimitIntervalSec=0

[Service]
{common}# A user's manager can protect only within a user namespace. Where the kernel forbids those,
# remove this line, CapabilityBoundingSet and all that begin with Private or Protect.
PrivateUsers=yes

[Install]
WantedBy=default.target
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a unit is to run. `command`: the words before `run`; `writable`: folders beside the working one."""

    command: Sequence[str]
    folder: str
    config: str = ""
    account: str = ""
    writable: Sequence[str] = ()
    state_folder: bool = False
    """systemd itself makes the folder, /var/lib/tickerd."""
    reads_homes: bool = False


def system_unit(service: Service, *, head: str = "") -> str:
    """Return the unit for /etc/systemd/system; `head`: a comment of whole lines."""
    place = [f"User={service.account}"] if service.account else []
    if service.state_folder:
        place += ["StateDirectory=tickerd", "StateDirectoryMode=0750"]
    homes = "read-only" if service.reads_homes else "yes"
    return SYSTEM.format(head=head, common=_common(service, [*place, *_places(service), "UMask=0027"], homes))


def user_unit(service: Service, *, head: str = "") -> str:
    """Return the unit for ~/.config/systemd/user."""
    return USER.format(head=head, common=_common(service, [*_places(service), "UMask=0077"], "read-only"))


def in_homes(paths: Iterable[Path]) -> bool:
    """Whether one of the paths lies where a service usually may not look."""
    return any(path.is_relative_to(home) for path in paths for home in HOMES)


def _common(service: Service, place: list[str], homes: str) -> str:
    def line(verb: str) -> str:
        config = ["--config", service.config] if service.config else []
        words = [_quoted(word) for word in (*service.command, verb, *config)]
        # No variable is looked for in the program's own name.
        return " ".join([words[0], *(word.replace("$", "$$") for word in words[1:])])

    return COMMON.format(start=line("run"), reload=line("reload"), place="\n".join(place), homes=homes)


def _places(service: Service) -> list[str]:
    lines = [f"WorkingDirectory={service.folder}"]
    if service.writable:
        lines.append(f"ReadWritePaths={' '.join(map(_quoted, service.writable))}")
    return lines


def literal(path: Path) -> str:
    """Return a path as a unit must name it: `%` begins a specifier (systemd.unit(5))."""
    return str(path).replace("%", "%%")


def _quoted(word: str) -> str:
    """As systemd.syntax(7) wants a word with a space, a quote or a backslash."""
    word = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{word}"' if any(mark in word for mark in " '\"\\;") else word
