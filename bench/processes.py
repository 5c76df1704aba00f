"""What the running system costs: time to a full table, memory and CPU of each process, an import of yfinance beside it.

Runs `tickerd demo` in a temporary folder for a minute. Usage: python -m bench.processes [SECONDS]
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from core.clock import SystemClock, pause

LIMITS_MB = {"prices": 90, "metrics": 90, "orchestrator": 40}
TICKERD = [sys.executable, "-P", "-m", "cli.main"]
FILLED = re.compile(r"after +(\d+) s: ([\d,]+) of ([\d,]+) tickers have a fresh price, ([\d,]+) have fresh metrics")


def peak_mb(pid: int) -> float:
    """Return the largest resident size that the process ever had, in MB (VmHWM of proc(5))."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert match is not None
    return int(match[1]) / 1024


def imported_mb(module: str) -> float:
    """Return what a process weighs that does nothing but import `module`."""
    code = f"import {module}, re; print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def status(config: Path) -> dict[str, object]:
    command = [*TICKERD, "status", "--json", "--config", str(config)]
    document: dict[str, object] = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
    return document


def main() -> int:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as folder:
        command = [*TICKERD, "demo", "--folder", folder, "--seconds", str(seconds)]
        demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        clock = SystemClock()
        end_s = clock.monotonic_s() + seconds - 8
        while clock.monotonic_s() < end_s and demo.poll() is None:
            pause(0.5)
        rows = measure(status(Path(folder) / "config.toml"), demo.pid)
        said, _ = demo.communicate()
    print(f"{'process':<16}{'peak MB':>9}{'limit':>7}{'CPU %':>7}")
    for name, size_mb, cpu in rows:
        print(f"{name:<16}{size_mb:>9.0f}{LIMITS_MB.get(name, ''):>7}{cpu:>7.1f}")
    print(f"{'import yfinance':<16}{imported_mb('yfinance'):>9.0f}")
    for match in FILLED.finditer(said):
        print(match[0])
    return int(any(size_mb > LIMITS_MB.get(name, size_mb) for name, size_mb, _ in rows))


def measure(document: dict[str, object], demo_pid: int) -> list[tuple[str, float, float]]:
    """Return (name, peak MB, CPU percent since its start) of each process of the demo."""
    processes = document["processes"]
    assert isinstance(processes, list)
    pids = {"orchestrator": document["pid"]} | {each["name"]: each["pid"] for each in processes if each["pid"]}
    known = set(pids.values())
    for child in psutil.Process(demo_pid).children():
        if child.pid not in known:
            pids["practice market"] = child.pid
    return [(name, peak_mb(int(pid)), cpu_percent(int(pid))) for name, pid in pids.items()]


def cpu_percent(pid: int) -> float:
    process = psutil.Process(pid)
    used = process.cpu_times()
    age_s = SystemClock().utc_now().timestamp() - process.create_time()
    return 100 * float(used.user + used.system) / age_s


if __name__ == "__main__":
    sys.exit(main())
