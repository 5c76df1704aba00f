"""Runs the daemon with other programs: `run_orchestrator.py CONFIG JSON`, JSON {"prepare": M, "programs": {...}}."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from core.config import Loaded, load
from core.errors import TickerdError
from core.program import print_error
from daemon.crew import Program
from daemon.main import run
from daemon.orchestrator import Orchestrator

given = json.loads(sys.argv[2])


def build(loaded: Loaded, environ: Mapping[str, str]) -> Orchestrator:
    programs = {name: Program(module=module, once=name == "daily") for name, module in given["programs"].items()}
    return Orchestrator(loaded, environ=environ, programs=programs, prepare_module=given["prepare"])


try:
    raise SystemExit(run(load(sys.argv[1], os.environ, Path.cwd()), environ=os.environ, build=build))
except TickerdError as error:
    print_error(error)
    raise SystemExit(error.exit_code) from error
