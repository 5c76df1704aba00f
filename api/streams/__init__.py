"""Live streams: one hub, told over WebSocket and as server-sent events. Computes nothing that it tells."""
