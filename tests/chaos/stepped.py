"""Runs `tickerd` with a clock that can be stepped, where the clock library stands in front of this process.

Its children are started without the library, and so read the true clock: it breaks `time.sleep` of Python 3.11.
"""

import os
import sys

os.environ.pop("LD_PRELOAD", None)

from cli.main import main

raise SystemExit(main(sys.argv[1:]))
