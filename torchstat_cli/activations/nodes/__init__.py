"""What can be extracted from a model: the names, with shapes and sizes."""
