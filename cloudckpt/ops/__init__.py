"""TensorFlow's save and restore ops, as functions over lists of names, slice specs and arrays."""
