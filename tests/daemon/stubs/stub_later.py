"""A child whose database is away."""

import sys

sys.stderr.write("tickerd: database: connection refused; start it\n")
raise SystemExit(75)
