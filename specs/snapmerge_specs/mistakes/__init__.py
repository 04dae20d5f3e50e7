"""Seeded defects of the model, and known findings in real kernels."""
