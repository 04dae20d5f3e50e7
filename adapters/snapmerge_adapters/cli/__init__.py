"""The command ``snapmerge``."""
