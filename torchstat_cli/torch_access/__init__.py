"""The ground for touching torch and a live model: one mechanism for each way of touching, whoever needs it."""
