"""The nodes of a saver in a graph: adding them, and finding out what those of any saver save and restore."""
