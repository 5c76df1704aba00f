"""The orchestrator: session plan -> wanted processes -> orders -> processes. Never imports what it starts."""
