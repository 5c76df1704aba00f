"""`python -P -m scanners.daily`: the supervised daily scanner."""

import sys

from scanners.main import main

sys.exit(main("daily"))
