"""The model as an implementation: in memory, and over image files."""
