"""TensorFlow's save and restore ops, under its names and with its arguments: `tf.raw_ops`, on every store.

All arguments are keywords, as TensorFlow's; `storage_options` and `unsafe_overwrite` beside them are ours.
"""

from cloudckpt.ops.merge_v2 import MergeV2Checkpoints
from cloudckpt.ops.restore_v1 import Restore, RestoreSlice
from cloudckpt.ops.restore_v2 import RestoreV2
from cloudckpt.ops.save_v1 import Save, SaveSlices
from cloudckpt.ops.save_v2 import SaveV2
from cloudckpt.ops.sharded_names import ShardedFilename, ShardedFilespec

__all__ = [
    "MergeV2Checkpoints",
    "Restore",
    "RestoreSlice",
    "RestoreV2",
    "Save",
    "SaveSlices",
    "SaveV2",
    "ShardedFilename",
    "ShardedFilespec",
]
