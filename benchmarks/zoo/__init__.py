"""Every model of the libraries, profiled and compared with what torch counts itself."""
