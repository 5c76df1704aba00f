"""A child that has nothing to do."""
