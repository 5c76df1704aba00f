"""The price scanner: Yahoo's stream on many connections, one flush a second of what changed."""
