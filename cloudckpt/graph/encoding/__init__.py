"""Graphs, tensors and attributes as TensorFlow's messages, in bytes and text."""
