"""Fixtures that every test may use, one module a part."""

import signal
import sys

from hypothesis import HealthCheck, settings

settings.register_profile("any_machine", settings(deadline=None, suppress_health_check=[HealthCheck.too_slow]))
settings.load_profile("any_machine")  # how quick a machine is, is no property

signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.platform != "win32":
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup, or in the background, children would inherit deaf ears

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
    *([] if sys.platform == "win32" else ["tests.fix_api", "tests.fix_browser"]),  # numpy and a browser: not under Wine
]
