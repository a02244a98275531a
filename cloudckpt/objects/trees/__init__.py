"""Trees of arrays, saved and loaded whole: nested dicts, lists and tuples."""
