"""The scan engine: bar cube, measures, patterns, expressions, scan jobs and back-test, a process of its own."""
