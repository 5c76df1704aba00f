"""A child that says what a person must change, and ends with 78."""

import sys

sys.stderr.write("tickerd: database.url: no such place; give another\n")
raise SystemExit(78)
