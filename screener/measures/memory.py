"""Has the allocator keep what it gets from the system. Allocates nothing itself."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
LARGEST_KEPT, MOST_KEPT = 64 << 20, 256 << 20  # bytes: of one array, of all that is free


@cache
def keep() -> bool:
    """Keep freed arrays for the next ones; whether this system's allocator can be told.

    glibc gives large ones back at once and asks for them again page by page: a third of the time of a scan.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and all([mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT), mallopt(M_TRIM_THRESHOLD, MOST_KEPT)])
