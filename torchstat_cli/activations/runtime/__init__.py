"""Extraction from a live run, for every model: hooks, operators, what is kept of them."""
