"""Traces as shell scripts."""
