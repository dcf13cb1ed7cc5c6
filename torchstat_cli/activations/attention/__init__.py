"""Attention while a model runs: where it happens, and its maps."""
