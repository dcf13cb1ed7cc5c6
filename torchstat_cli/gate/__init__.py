"""The CI gate: pure verdicts over records; git, files and processes only at the edge."""
