"""The promises to a user, which do not depend on how targets work, checked against a trace."""
