"""What must hold of every world, and a monitor that looks at it after every move."""
