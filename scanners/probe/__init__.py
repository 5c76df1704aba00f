"""Measures on the live service what the settings only believe. Scans nothing and writes into no table."""
