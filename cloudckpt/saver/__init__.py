"""State by name: the savers of TensorFlow's first version, and what is around them."""
