"""Sockets: hosts behind TLS, the control port, mail."""
