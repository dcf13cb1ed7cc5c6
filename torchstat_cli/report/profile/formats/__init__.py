"""One file per format of a profile, each loaded when asked for."""
