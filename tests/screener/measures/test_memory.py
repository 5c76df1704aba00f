from __future__ import annotations

import subprocess
import sys

from screener.measures import memory

TOUCHED = """
import resource, sys
import numpy as np
from screener.measures import memory
if sys.argv[1] == "keep":
    memory.keep()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.full(5_000_000, 1.0)
before = faults()
np.full(5_000_000, 1.0)
print(faults() - before)
"""


def faults(way: str) -> int:
    return int(subprocess.run([sys.executable, "-c", TOUCHED, way], capture_output=True, check=True).stdout)


def test_what_one_array_had_the_next_gets_without_the_system() -> None:
    """40 MB are ten thousand pages of 4 kB, or twenty of 2 MB."""
    if memory.keep():  # glibc
        assert faults("keep") < 10 <= faults("as it comes")


SHARED = """
import resource, threading
import numpy as np
from screener.measures import memory
memory.keep()
def touch():
    np.full(5_000_000, 1.0)
def in_a_thread():
    thread = threading.Thread(target=touch)
    thread.start()
    thread.join()
in_a_thread()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_what_a_thread_had_another_gets() -> None:
    if memory.keep():
        told = subprocess.run([sys.executable, "-c", SHARED], capture_output=True, check=True).stdout
        assert int(told) < 10


def test_asking_twice_is_asking_once() -> None:
    assert memory.keep() == memory.keep()
