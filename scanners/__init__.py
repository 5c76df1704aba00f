"""The three scanners and what they share. No scanner knows another."""
