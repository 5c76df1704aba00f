"""The shapes in which lists of proxies are published. The content decides which one it is, never the name."""
