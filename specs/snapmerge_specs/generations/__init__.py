"""Generations of the snapshot targets: the record that each of them registers with the specs."""
