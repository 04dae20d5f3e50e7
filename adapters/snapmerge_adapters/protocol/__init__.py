"""Other programs as implementations, and implementations as a program."""
