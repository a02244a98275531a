"""The manager of `cloudckpt.train`, which does as TensorFlow's does."""
