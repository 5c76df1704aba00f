"""Yahoo's protocols: stream frames, quotes, cookie and crumb. The only part that touches yfinance; never SQL."""
