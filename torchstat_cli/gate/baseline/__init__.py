"""The baseline: what it remembers of a model, its file, its history in git, and how an update changes it."""
