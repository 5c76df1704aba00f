"""The `tickerd` command, one module a group of commands. Decides nothing."""
