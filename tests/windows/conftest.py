"""What only a Windows Python can run is not collected elsewhere: tests/windows/run.py starts one under Wine."""

from __future__ import annotations

import sys

collect_ignore_glob = [] if sys.platform == "win32" else ["test_*.py"]
