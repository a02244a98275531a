"""TensorFlow's `tf.contrib.eager` names, without TensorFlow."""

from cloudckpt.saver.eager_saver import Saver

__all__ = ["Saver"]
