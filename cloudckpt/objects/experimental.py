"""TensorFlow's `tf.train.experimental` names."""

from cloudckpt.variables.trackable.python_state import PythonState

__all__ = ["PythonState"]
