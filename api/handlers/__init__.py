"""What each path answers, a module a group."""
