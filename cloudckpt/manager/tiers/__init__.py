"""A fast local folder before the bucket: which of the two has what, and which counts."""
