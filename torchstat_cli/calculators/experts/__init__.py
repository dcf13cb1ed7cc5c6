"""Mixtures of experts: which parameters one token uses."""
