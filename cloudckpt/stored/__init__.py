"""Looking into one checkpoint: its tensors by name, read or mapped when they are asked for."""
