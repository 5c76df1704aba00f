"""The market itself: listings, hours, trades, bars. Does no I/O."""
