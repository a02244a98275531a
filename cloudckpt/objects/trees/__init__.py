"""Trees of arrays, saved and loaded whole or in part: nested containers of many kinds, with plain ones in the file."""
