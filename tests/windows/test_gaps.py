"""What Wine lacks, shown without any code of ours: a reason in chosen.py that names Wine is one of these.

A test that fails says that Wine can now do it: take its reason away. On a real Windows there is nothing to show.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

assert sys.platform == "win32"

ERROR_INVALID_LEVEL = 124
ENDED_BY_ITSELF = 0xC000_0409  # after Wine's word of an unimplemented function
SC_MANAGER_ALL_ACCESS, SERVICE_ALL_ACCESS = 0xF003F, 0xF01FF
OWN_PROCESS, ON_DEMAND, IGNORE_ERRORS = 0x10, 3, 0
FAILURE_ACTIONS_FLAG = 4

pytestmark = pytest.mark.skipif(not hasattr(ctypes.WinDLL("ntdll"), "wine_get_version"), reason="this is no Wine")


def test_its_c_library_reads_nothing_more_from_a_file_whose_end_was_read_once(tmp_path: Path) -> None:
    read = ctypes.cdll.ucrtbase._read
    path, into = tmp_path / "grows", ctypes.create_string_buffer(9)
    path.write_bytes(b"old")
    follower = os.open(path, os.O_RDONLY | os.O_BINARY)
    assert [read(follower, into, 9), read(follower, into, 9)] == [3, 0]
    with path.open("ab") as file:
        file.write(b"new")
    assert read(follower, into, 9) == 0
    os.close(follower)


def test_its_c_library_lacks_the_complex_numbers_that_numpy_needs() -> None:
    code = "import ctypes; ctypes.cdll.ucrtbase.crealf()"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == ENDED_BY_ITSELF


@pytest.fixture
def service() -> Iterator[ctypes.c_void_p]:
    api = ctypes.windll.advapi32
    api.OpenSCManagerW.restype = api.CreateServiceW.restype = ctypes.c_void_p
    manager = ctypes.c_void_p(api.OpenSCManagerW(None, None, SC_MANAGER_ALL_ACCESS))
    kind = (SERVICE_ALL_ACCESS, OWN_PROCESS, ON_DEMAND, IGNORE_ERRORS)
    made = ctypes.c_void_p(api.CreateServiceW(manager, "gap", "gap", *kind, "gap.exe", *[None] * 5))
    yield made
    api.DeleteService(made)
    api.CloseServiceHandle(made)
    api.CloseServiceHandle(manager)


def test_its_service_manager_takes_no_failure_actions_flag(service: ctypes.c_void_p) -> None:
    flag = ctypes.c_int(1)
    assert not ctypes.windll.advapi32.ChangeServiceConfig2W(service, FAILURE_ACTIONS_FLAG, ctypes.byref(flag))
    assert ctypes.windll.kernel32.GetLastError() == ERROR_INVALID_LEVEL
