"""Objects that keep track of what is assigned to them: modules, the containers in their attributes, Python state."""
