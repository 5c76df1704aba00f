"""Every table of the database, by subject; `storage.schema` gathers them."""
