"""The ``snapshot-merge`` of 2009: its properties, scenarios, scopes, defects and findings."""
