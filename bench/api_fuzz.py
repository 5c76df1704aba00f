"""Every operation of the OpenAPI document, asked what it may and may not be asked: no answer is a fault of ours.

python -m bench.api_fuzz [--examples 50]

schemathesis makes the requests from the document; the server is the shipped one, with its scan engine, beside an
orchestrator that obeys nothing. Exit code 1 if one answer is 5xx, or is of a kind that the document does not name.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from bench.api import fill, served

CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance,status_code_conformance"
OWN = "/auth/|/users"
CONFIG = """
[state]
dir = "{folder}"
[database]
url = "sqlite:///{folder}/tickerd.db"
[logging]
dir = "{folder}/logs"
"""


def document(port: int, key: str, file: Path) -> None:
    """Fetch the OpenAPI document."""
    asked = urllib.request.Request(f"http://localhost:{port}/api/v1/openapi.json", headers={"X-API-Key": key})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        file.write_bytes(answer.read())


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(f"sqlite:///{folder}/tickerd.db")
        (folder / "config.toml").write_text(CONFIG.format(folder=folder))
        os.environ["TICKERD_CONFIG"] = str(folder / "config.toml")
        engine = subprocess.Popen([sys.executable, "-P", "-m", "screener"], stderr=subprocess.DEVNULL)
        try:
            with served("bench.stubs.api_beside", folder) as (_, port, key):
                document(port, key, folder / "openapi.json")
                # What may end the key that asks comes last.
                found = _ask(port, key, folder, given.examples, "--exclude-path-regex", f"stream|{OWN}")
                return found | _ask(port, key, folder, given.examples, "--include-path-regex", OWN)
        finally:
            engine.terminate()
            engine.wait()


def _ask(port: int, key: str, folder: Path, examples: int, *which: str) -> int:
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", str(folder / "openapi.json")]
    command += ["--url", f"http://localhost:{port}", "-H", f"X-API-Key: {key}", "-c", CHECKS]
    command += ["--max-examples", str(examples), "--phases", "examples,coverage,fuzzing", "--request-timeout", "70"]
    command += ["--suppress-health-check", "all", "--warnings", "off", *which]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
