"""What a session puts on a model to watch it: a row of slots per module, and hooks that fill it."""
