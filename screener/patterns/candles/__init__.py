"""TA-Lib's 61 candle patterns over whole markets, and the textbook hammer that is not TA-Lib's."""
