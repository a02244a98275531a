"""Which checkpoint: the state file, the latest one, recovery, retention."""
