"""The daily scanner: after each close all fields and the day's bar, once a session."""
