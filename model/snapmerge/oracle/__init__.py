"""Whether a history of operations and outcomes is one that the model allows."""
