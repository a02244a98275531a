"""What a tensor is in memory: dtypes now, variables and modules later."""
