"""Extraction from a traced graph, for models that torch.fx can trace."""
