"""TensorFlow's names for programs that move by changing an import."""

from cloudckpt.compat import v1

__all__ = ["v1"]
