"""One directory of numbered checkpoints: what a manager knows of it, and what it does there."""
