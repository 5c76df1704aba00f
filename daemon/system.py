"""What differs between systems, under one name: how a child is started, watched and heard. Chooses, does nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from daemon.launch import Launch

if sys.platform == "win32":
    from daemon.beats_windows import BeatPipes as Beats
    from daemon.process_windows import Process, end_strays
else:
    from daemon.beats import BeatSocket as Beats
    from daemon.process import Process, end_strays

__all__ = ["Beats", "Process", "end_strays", "supervise"]


def supervise(
    launch: Callable[[str], Launch],
    beats: Beats,
    *,
    on_exit: Callable[[int], None],
    on_output: Callable[[bytes], None],
    lock: Path,
) -> Process:
    """Start a child whose heartbeats `beats` hears; `launch` takes the address that they go to."""
    if sys.platform == "win32":  # by a pipe of its own, which `Process` makes
        return Process(launch(""), on_exit=on_exit, on_output=on_output, lock=lock, beats=beats)
    return Process(launch(beats.address), on_exit=on_exit, on_output=on_output, lock=lock)
