"""A practice market: one process that is Yahoo Finance to our programs. No product part imports it."""
