"""The machine with its environment: disks that lose power, and operations carried out move by move."""
