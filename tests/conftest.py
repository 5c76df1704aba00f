"""Fixtures that every test may use, one module a part."""

import sys

collect_ignore_glob = [] if sys.platform == "win32" else ["*_windows.py"]
"""What only a Windows Python can run: `make test-windows`."""

pytest_plugins = [
    "tests.fix_cli",
    "tests.fix_clock",
    "tests.fix_daemon",
    "tests.fix_logs",
    "tests.fix_scanners",
    "tests.fix_probe",  # after those that it stands on
    "tests.fix_simulator",
    "tests.fix_storage",
    "tests.fix_systemd",
    "tests.fix_tls",
]
