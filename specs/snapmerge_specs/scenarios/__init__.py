"""What a random scenario does next: strategies, and the driver that plays it."""
