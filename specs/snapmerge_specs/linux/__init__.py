"""The generation of Linux: the snapshot targets of real kernels."""
