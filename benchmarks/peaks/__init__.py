"""The models whose simulated peaks are held against the real allocator's; fixed before they were measured."""
