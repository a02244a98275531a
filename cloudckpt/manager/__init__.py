"""When: the manager that a training loop talks to."""
