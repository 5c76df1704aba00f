"""`python -P -m screener`: the supervised scan engine."""

import sys

from core.program import run
from screener.sentences import SENTENCES
from screener.work import SERVICE, main

sys.exit(run(main, service=SERVICE, sentences=SENTENCES))
