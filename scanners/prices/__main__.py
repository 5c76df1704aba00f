"""`python -P -m scanners.prices`: the supervised price scanner."""

import sys

from scanners.main import main

sys.exit(main("prices"))
