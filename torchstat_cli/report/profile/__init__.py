"""One profile, in every format: which rows and columns, how they read, and one file per format."""
