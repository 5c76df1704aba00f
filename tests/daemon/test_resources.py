from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from daemon.resources import Meter, oom_kills

HOLDS_50_MB = "import subprocess, sys; x = bytearray(50_000_000); print('up', flush=True); sys.stdin.read()"
HAS_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDS_50_MB!r}])"


async def test_the_memory_of_a_child_includes_its_own_children() -> None:
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
    first = meter.read([child.pid, 999_999_999], now_s=10.0)
    later = meter.read([child.pid], now_s=12.0)
    child.stdin.close()
    await child.wait()
    assert list(first) == [child.pid]
    assert 50 < first[child.pid].rss_mb < 120
    assert first[child.pid].cpu_percent == 0.0
    assert later[child.pid].cpu_percent < 100.0


def test_the_kernel_tells_its_kills_for_memory(tmp_path: Path) -> None:
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("nr_free_pages 1\noom_kill 7\n")
    assert oom_kills(vmstat) == 7
    assert oom_kills(tmp_path / "absent") == 0
