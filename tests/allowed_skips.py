"""Fails if a test run skipped a test that tests/allowed_skips.txt does not name.

Usage: allowed_skips.py REPORT ALLOWED. A line of ALLOWED is `PATH:LINE-FREE NAME OF THE REASON`: the text that pytest's
short summary shows after `SKIPPED [n] `, without the line number, and a tab with why it may be skipped.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SKIPPED = re.compile(r"^SKIPPED \[\d+\] (?P<file>[^:]+):\d+: (?P<reason>.*)$")


def not_allowed(report: str, allowed: str) -> list[str]:
    """Return the skips of `report` whose `file: reason` starts with no line of `allowed`."""
    lines = [line.split("\t")[0].strip() for line in allowed.splitlines() if line.strip() and not line.startswith("#")]
    found = (match for line in report.splitlines() if (match := SKIPPED.match(line.strip())))
    skips = [f"{match['file']}: {match['reason']}" for match in found]
    return [skip for skip in skips if not any(skip.startswith(line) for line in lines)]


def main() -> int:
    report, allowed = (Path(name).read_text(encoding="utf-8") for name in sys.argv[1:3])
    refused = not_allowed(report, allowed)
    for skip in refused:
        sys.stderr.write(f"skipped, and not in tests/allowed_skips.txt: {skip}\n")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
