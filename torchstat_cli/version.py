"""The version of this package: the build, the command line and every report read it here."""

__version__ = "0.1.0"
