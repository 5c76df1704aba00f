"""Everything that is computed from bars for a ticker: arrays in, arrays out."""
