"""Checking every byte of one checkpoint, and reporting what is wrong where."""
