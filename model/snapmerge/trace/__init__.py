"""What a user of device-mapper can do and see, and both as lines of text."""
