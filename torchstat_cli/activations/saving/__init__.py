"""Activations as arrays, pooled over the sequence and written to files."""
