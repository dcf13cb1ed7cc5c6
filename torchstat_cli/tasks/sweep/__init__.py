"""Many models, each measured on its own in a worker process."""
