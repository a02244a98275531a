"""Graphs: operations under unique names, with their scopes, devices and collections; and which one is the default."""
