"""Fixtures that every test may use, one module a part."""

pytest_plugins = [
    "tests.fix_cli",
    "tests.fix_clock",
    "tests.fix_daemon",
    "tests.fix_scanners",
    "tests.fix_simulator",
    "tests.fix_storage",
    "tests.fix_tls",
]
