"""A real kernel as an ordinary process: user-mode Linux."""
