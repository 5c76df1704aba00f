"""A child that ends at once, with a traceback."""

raise RuntimeError("no luck")
