"""Boots the machine's own systemd as the first process of private namespaces, on a throw-away overlay of this system.

Nothing outside is touched: what the guest writes is in memory and gone with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.clock import pause
from tests.fix_daemon import PATIENCE_S, ROOT, wait_until

SYSTEMD = Path("/lib/systemd/systemd")
CGROUPS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
TARGETS = ("sysinit", "basic", "shutdown", "network-online", "multi-user", "guest")
USER = 990
ACCOUNT = f"tickerd:x:{USER}:{USER}::/srv/tickerd:/usr/sbin/nologin\n"

GUEST = r"""
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$BASE"
mkdir "$BASE/upper" "$BASE/work" "$BASE/root"
mount -t overlay -o "lowerdir=/,upperdir=$BASE/upper,workdir=$BASE/work" overlay "$BASE/root"
cd "$BASE/root"
for folder in $FOLDERS; do
    [ "$(stat -c %d "$folder")" = "$(stat -c %d /)" ] || { mkdir -p ".$folder"; mount --bind "$folder" ".$folder"; }
    while [ "$folder" != / ]; do chmod a+x ".$folder"; folder=$(dirname "$folder"); done
done
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom; do touch "dev/$name"; mount --bind "/dev/$name" "dev/$name"; done
touch dev/console
mount --bind "$CONSOLE" dev/console
ln -s /proc/self/fd dev/fd
ln -s pts/ptmx dev/ptmx
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
# Where a user's own systemd mounts what a service of its sees: the first sandboxed system service would have made it.
mkdir -p -m 700 run/systemd/unit-root
rm -rf etc/systemd/system
mkdir etc/systemd/system
for target in $TARGETS; do
    printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$target" > "etc/systemd/system/$target.target"
done
printf '%s' "$ACCOUNT" >> etc/passwd
mkdir old
pivot_root . old
umount -l /old
exec env -i container=docker PATH=/usr/sbin:/usr/bin:/sbin:/bin "$SYSTEMD" --system --unit=guest.target \
    --log-target=console --log-level=info --show-status=no
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A booted system; `init_pid`: its first process, as this system numbers it."""

    init_pid: int
    console: Path

    def run(self, *words: str | Path, user: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command inside and wait for its end."""
        enter = ["nsenter", "-t", str(self.init_pid), "-m", "-p", "-u", "-i", "-n", "-C"]
        become = [] if user == 0 else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        return subprocess.run(
            [*enter, *become, *map(str, words)],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )

    def does(self, *words: str | Path) -> str:
        """Run a command that must work; return what it prints."""
        done = self.run(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr, self.console.read_text()[-2000:])
        return done.stdout

    def write(self, file: str, text: str) -> None:
        self.does("mkdir", "-p", os.path.dirname(file))
        self.does("sh", "-c", 'printf "%s" "$1" > "$2"', "sh", text, file)

    def shows(self, unit: str, key: str) -> str:
        return self.does("systemctl", "show", unit, f"--property={key}", "--value").strip()

    def processes(self, unit: str) -> list[int]:
        """Return the processes in the unit's control group, as the guest numbers them."""
        group = self.shows(unit, "ControlGroup")
        done = self.run("cat", f"/sys/fs/cgroup{group}/cgroup.procs")
        return [int(line) for line in done.stdout.split()] if group and done.returncode == 0 else []


def why_not() -> str:
    """Return what this machine lacks to boot a guest; empty if it lacks nothing."""
    if os.getuid():
        return "only root can boot a private systemd"
    if not SYSTEMD.exists() or not all(map(shutil.which, ("nsenter", "unshare", "setpriv", "systemctl"))):
        return "systemd is not installed"
    if _cgroup_parent() is None:
        return "no writable cgroup2 hierarchy"
    if any(folder.is_relative_to(hidden) for folder in (ROOT, Path(sys.prefix)) for hidden in ("/tmp", "/var/tmp")):
        return "a service does not see a checkout in /tmp"
    tried = subprocess.run(
        ["unshare", "-m", "-p", "-f", "-n", "-u", "-i", "-C", "true"], capture_output=True, check=False
    )
    return "" if tried.returncode == 0 else "no private namespaces are allowed"


def _cgroup_parent() -> Path | None:
    found = (folder for folder in CGROUPS if (folder / "cgroup.controllers").exists() and os.access(folder, os.W_OK))
    return next(found, None)


@contextmanager
def booted(folder: Path) -> Iterator[Guest]:
    parent = _cgroup_parent()
    assert parent is not None
    cgroup, base, console = parent / f"tickerd-test-{os.getpid()}", folder / "base", folder / "console"
    cgroup.mkdir()
    base.mkdir()
    environ = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "BASE": str(base),
        "CONSOLE": str(console),
        "FOLDERS": " ".join({str(ROOT), str(Path(sys.prefix)), str(Path(sys.base_prefix).resolve())}),
        "TARGETS": " ".join(TARGETS),
        "ACCOUNT": ACCOUNT,
        "SYSTEMD": str(SYSTEMD),
    }
    joined = f'echo $$ > {cgroup}/cgroup.procs; exec unshare -m -p -f -n -u -i -C sh -c "$1"'
    with console.open("wb") as output:
        outer = subprocess.Popen(
            ["sh", "-c", joined, "sh", GUEST], env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        guest = Guest(init_pid=wait_until(lambda: _child_of(outer.pid)), console=console)
        wait_until(
            lambda: outer.poll() is not None or guest.run("systemctl", "is-system-running").stdout.strip() == "running"
        )
        assert outer.poll() is None, console.read_text()
        yield guest
    finally:
        if init := _child_of(outer.pid):
            os.kill(init, signal.SIGKILL)  # and with it every process of the guest
        outer.wait(PATIENCE_S)
        _remove(cgroup)


def _child_of(pid: int) -> int:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return 0
    return int(children[0]) if children else 0


def _remove(cgroup: Path) -> None:
    for folder in sorted(cgroup.rglob("*/"), reverse=True):
        if folder.is_dir():
            folder.rmdir()
    for _ in range(100):  # its last processes may still be on their way out
        try:
            cgroup.rmdir()
            return
        except OSError:
            pause(0.02)


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    if reason := why_not():
        pytest.skip(reason)
    with booted(tmp_path_factory.mktemp("guest")) as started:
        yield started
