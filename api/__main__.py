"""`python -P -m api`: the supervised API."""

import sys

from api.main import SERVICE, loop_factory, main
from core.program import run

sys.exit(run(main, service=SERVICE, loop=loop_factory()))
