from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path

import pytest

from daemon.descendants import descendants
from daemon.resources import Meter, oom_kills

HOLDS_50_MB = "import subprocess, sys; x = bytearray(50_000_000); print('up', flush=True); sys.stdin.read()"
HAS_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDS_50_MB!r}])"


async def test_the_memory_of_a_child_includes_its_own_children_and_its_files_are_counted() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HAS_A_CHILD,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdout is not None
    assert child.stdin is not None
    await child.stdout.readline()
    meter = Meter()
    family = [child.pid, *descendants(child.pid)]
    first = meter.read({child.pid: family, 999_999_999: [999_999_999]}, now_s=10.0)
    later = meter.read({child.pid: family}, now_s=12.0)
    child.stdin.close()
    await child.wait()
    assert list(first) == [child.pid]
    assert len(family) == 2
    assert 50 < first[child.pid].rss_mb < 120
    assert first[child.pid].cpu_percent == 0.0
    assert later[child.pid].cpu_percent < 100.0
    assert 3 <= first[child.pid].open_files < 20
    assert first[child.pid].open_files_limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


async def test_a_child_that_does_nothing_but_compute_is_told_apart_from_one_that_waits() -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import time\ninput()\nwhile time.process_time() < 0.2: pass\nprint('spent', flush=True)\ninput()",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    assert child.stdin is not None
    meter, family = Meter(), {child.pid: [child.pid]}
    meter.read(family, now_s=10.0)
    child.stdin.write(b"\n")
    await child.stdout.readline()
    busy = meter.read(family, now_s=10.1)[child.pid]
    idle = meter.read(family, now_s=15.1)[child.pid]
    child.stdin.close()
    await child.wait()
    assert busy.busy_s == pytest.approx(0.1)  # it spent 0.2 s of computing in what we call 0.1 s
    assert idle.busy_s == 0.0


def test_the_kernel_tells_its_kills_for_memory(tmp_path: Path) -> None:
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("nr_free_pages 1\noom_kill 7\n")
    assert oom_kills(vmstat) == 7
    assert oom_kills(tmp_path / "absent") == 0
