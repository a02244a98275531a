"""State by object: trees of arrays, saved and loaded whole."""
