"""The check of an implementation: random scenarios, shrinking, replay, and the Hypothesis machine."""
