"""The machine with its environment: disks with volatile caches, effects in flight, power cuts, users' operations."""
