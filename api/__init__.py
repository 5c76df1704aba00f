"""The HTTP API: one process that reads SQL, the control socket and the scans' tables. Computes nothing heavy."""
