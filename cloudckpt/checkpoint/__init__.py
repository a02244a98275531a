"""One checkpoint: plan, write, commit; open, read; delete."""
