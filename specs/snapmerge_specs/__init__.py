"""What must hold, executable: properties, the lockstep machine, strategies, contracts, defects."""
