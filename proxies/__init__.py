"""The pool of proxies: harvests lists, checks, scores, rotates. Never trusts a proxy."""
