"""Objects that hold each other by names, as TensorFlow's TrackableObjectGraph: walking, saving and restoring them."""
