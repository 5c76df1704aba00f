"""`python -P -m scanners.metrics`: the supervised metrics scanner."""

import sys

from scanners.main import main

sys.exit(main("metrics"))
