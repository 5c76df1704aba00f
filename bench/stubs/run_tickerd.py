"""tickerd's daemon with three sleepers in place of its programs and nothing to prepare: `run_tickerd.py CONFIG`."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from core.config import Loaded, load
from daemon.crew import Program
from daemon.main import run
from daemon.orchestrator import Orchestrator

PROGRAMS = {name: Program(module="bench.stubs.sleeper") for name in ("prices", "metrics", "recorder")}


def build(loaded: Loaded, environ: Mapping[str, str]) -> Orchestrator:
    return Orchestrator(loaded, environ=environ, programs=PROGRAMS, prepare_module="bench.stubs.nothing")


raise SystemExit(run(load(sys.argv[1], os.environ, Path.cwd()), environ=os.environ, build=build))
