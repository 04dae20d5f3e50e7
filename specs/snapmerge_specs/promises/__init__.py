"""What a user may count on, whatever the transitions: promises, checked against a trace."""
