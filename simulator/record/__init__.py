"""What was true and what was sent, second by second."""
