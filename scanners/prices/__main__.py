"""`python -P -m scanners.prices`: the supervised price scanner."""

import sys

from net.paced import paced_loop
from scanners.main import main

sys.exit(main("prices", loop=paced_loop))
