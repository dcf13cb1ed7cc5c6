"""Which storages live when, and the peak that torch's own allocator saw."""
