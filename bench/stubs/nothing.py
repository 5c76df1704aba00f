"""A program that has nothing to prepare."""
