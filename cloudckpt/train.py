"""TensorFlow's `tf.train` names for looking into checkpoints, without TensorFlow."""

from cloudckpt.ops.checkpoint_reader import CheckpointReader, NewCheckpointReader
from cloudckpt.ops.inspect import checkpoint_exists, list_variables, load_checkpoint, load_variable
from cloudckpt.state.latest import latest_checkpoint

__all__ = [
    "CheckpointReader",
    "NewCheckpointReader",
    "checkpoint_exists",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
]
