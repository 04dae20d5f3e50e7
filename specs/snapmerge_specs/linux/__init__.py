"""What Linux brings to the specs: the generation that real kernels have."""
