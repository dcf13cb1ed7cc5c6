"""What a user can ask of a model, one task per file: profile, check, fit, generate, list the nodes."""
