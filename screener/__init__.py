"""The scan engine: bar cube, measures, patterns, expressions, scan jobs and back-test, a process of its own."""

import os

# Read as numpy is loaded. Its products are of a few rows: a second thread waits for them longer than it helps, and a
# scan that pays for more cores forks.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
