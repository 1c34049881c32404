"""Many clients at once, hostile ones among them, and the model servers behind the gateway."""
