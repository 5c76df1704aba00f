"""Outbound connections: proxy, CA bundle, size and time caps, the shared request budget. Knows not what is asked."""
