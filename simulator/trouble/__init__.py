"""What may go wrong, by name, and how it is done."""
