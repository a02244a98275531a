"""State by object: trees of arrays, and objects that hold each other."""
