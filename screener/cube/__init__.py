"""The bar cube: daily bars of the whole market as memory-mapped arrays, built from SQL and renewed by what changed."""
