"""The metrics scanner: every ten minutes volume, ranges and ratios of every ticker, in batches of quotes."""
