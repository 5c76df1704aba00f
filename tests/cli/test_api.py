from __future__ import annotations

import re
import subprocess
import urllib.request
from pathlib import Path

from tests.fix_api import new_folder
from tests.fix_cli import COMMAND, clean_environ, tickerd


def test_the_api_serves_by_itself_and_ends_when_asked(sqlite_template: Path, tmp_path: Path) -> None:
    new_folder(sqlite_template, tmp_path)
    (tmp_path / "config.toml").write_text('[api]\nport = 0\nauth = false\n[logging]\nformat = "text"\n')
    command = [str(COMMAND), "api", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, env=clean_environ(), stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        started = next(line for line in server.stderr if "api_started" in line)
        found = re.search(r'"address":"([^"]+)"', started)
        assert found is not None
        with urllib.request.urlopen(f"http://{found[1]}/livez", timeout=30) as answer:
            assert answer.read() == b'{"status":"ok"}'
        server.terminate()
        assert '"message":"api_stopped"' in server.stderr.read()
        assert server.wait(30) == 0


def test_a_database_that_is_not_there_is_one_line_and_78(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[api]\nport = 0\n")
    done = tickerd("api", folder=tmp_path)
    assert (done.code, done.err.count("\n")) == (78, 1) and "tickerd db upgrade" in done.err


def test_another_address_without_sign_in_is_refused(sqlite_template: Path, tmp_path: Path) -> None:
    new_folder(sqlite_template, tmp_path)
    (tmp_path / "config.toml").write_text('[api]\nport = 0\nhost = "0.0.0.0"\nauth = false\n')
    done = tickerd("api", folder=tmp_path)
    assert done.code == 78 and "auth" in done.err
