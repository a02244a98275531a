"""Notices that this machine is about to be taken away, and the last save before it is."""
