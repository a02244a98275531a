"""Variables in parts: how they are cut, and the slice that each part is of the whole."""
