"""TensorFlow's `tf.train` names for checkpoints, without TensorFlow."""

from cloudckpt.manager.train.train_checkpoint_manager import CheckpointManager
from cloudckpt.objects import experimental
from cloudckpt.objects.checkpoint import Checkpoint
from cloudckpt.objects.options import CheckpointOptions
from cloudckpt.ops.checkpoint_reader import CheckpointReader, NewCheckpointReader
from cloudckpt.ops.inspect import checkpoint_exists, list_variables, load_checkpoint, load_variable
from cloudckpt.saver.builder import BaseSaverBuilder, BulkSaverBuilder
from cloudckpt.saver.import_meta_graph import import_meta_graph
from cloudckpt.saver.init_from_checkpoint import init_from_checkpoint
from cloudckpt.saver.meta_graph import export_meta_graph
from cloudckpt.saver.saveable_object import SaveableObject, SaveSpec
from cloudckpt.saver.saver import Saver
from cloudckpt.saver.saver_def import SaverDef
from cloudckpt.state.checkpoint_state import (
    generate_checkpoint_state_proto,
    get_checkpoint_state,
    update_checkpoint_state,
)
from cloudckpt.state.iterator import checkpoints_iterator
from cloudckpt.state.latest import latest_checkpoint
from cloudckpt.state.mtimes import get_checkpoint_mtimes
from cloudckpt.state.remove import remove_checkpoint
from cloudckpt.variables.global_step import (
    create_global_step,
    get_global_step,
    get_or_create_global_step,
    global_step,
)

__all__ = [
    "BaseSaverBuilder",
    "BulkSaverBuilder",
    "Checkpoint",
    "CheckpointManager",
    "CheckpointOptions",
    "CheckpointReader",
    "NewCheckpointReader",
    "SaveSpec",
    "SaveableObject",
    "Saver",
    "SaverDef",
    "checkpoint_exists",
    "checkpoints_iterator",
    "create_global_step",
    "experimental",
    "export_meta_graph",
    "generate_checkpoint_state_proto",
    "get_checkpoint_mtimes",
    "get_checkpoint_state",
    "get_global_step",
    "get_or_create_global_step",
    "global_step",
    "import_meta_graph",
    "init_from_checkpoint",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "remove_checkpoint",
    "update_checkpoint_state",
]
