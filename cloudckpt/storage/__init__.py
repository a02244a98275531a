"""Where bytes live. Knows no checkpoint format."""
