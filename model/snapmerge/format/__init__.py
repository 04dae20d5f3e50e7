"""The persistent exception store: its arithmetic, its bytes, and stores as values."""
