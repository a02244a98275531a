"""Saving behind a training loop's back: a snapshot first, and then the save in a thread of its own."""
