"""Drives an implementation in lockstep with the oracle: verdicts, capabilities, and reports."""
