"""Has the allocator keep what it gets from the system. Allocates nothing itself."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h of glibc
LARGEST_KEPT, MOST_KEPT = 64 << 20, 256 << 20  # bytes: of one array, of all that is free


@cache
def keep() -> bool:
    """Keep freed arrays for the next ones, of whatever thread; whether this system's allocator can be told.

    glibc gives large ones back at once and asks for them again page by page: a third of the time of a scan. And it has
    each thread keep its own: eight scans at one time kept 600 MB more. Said before there are threads, it holds for all.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    given = {M_MMAP_THRESHOLD: LARGEST_KEPT, M_TRIM_THRESHOLD: MOST_KEPT, M_ARENA_MAX: 1}
    return mallopt is not None and all([mallopt(name, value) for name, value in given.items()])
