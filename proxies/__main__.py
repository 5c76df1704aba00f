"""`python -P -m proxies`: the supervised process that keeps the pool."""

import sys

from core.program import run
from proxies.work import SERVICE, main

sys.exit(run(main, service=SERVICE))
