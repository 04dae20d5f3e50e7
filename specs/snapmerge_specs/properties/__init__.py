"""The properties of worlds and moves, and a monitor that checks them after every move."""
