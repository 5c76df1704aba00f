"""The scan engine: bar cube, measures, patterns, expressions, scan jobs and back-test, a supervised process of its own."""
