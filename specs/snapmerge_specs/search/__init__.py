"""Exhaustive search of small scopes."""
