"""A child that never says a word."""

from core.clock import pause

pause(60)
