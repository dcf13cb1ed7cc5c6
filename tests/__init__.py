"""The tests mirror the package; as packages themselves, their files may share names across rooms."""
