"""TensorFlow's saver for eager execution, `tf.contrib.eager.Saver`: a `Saver` without a session.

Source: tensorflow/contrib/eager/python/saver.py of TensorFlow 1.14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from cloudckpt.saver.saver import Saver as GraphSaver
from cloudckpt.variables.graphs.default_graph import executing_eagerly

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

__all__ = ["Saver"]


class Saver:
    """Saves and restores variables by name, their own values, without a session or a graph.

    What it writes is what `cloudckpt.train.Saver` writes, but no meta graph, since there is no graph. So
    `tf.train.Checkpoint` over TensorFlow's variables and tf_keras's `load_weights` load it by the variables' names. As
    that class by default it keeps the last 5 checkpoints that it saved, and names them in the directory's `checkpoint`
    state file.

    Args:
        var_list: the variables: a sequence of what `cloudckpt.train.Saver` takes, or a mapping from the names in the
            checkpoint to them.
        storage_options: options of the store, as fsspec takes them.
        unsafe_overwrite: as `cloudckpt.train.Saver` takes it.
        timeout: seconds for each save or restore, retries included; None for no limit.

    Raises:
        RuntimeError: not executing eagerly, because a graph is the default; or `var_list` is None.
        InvalidArgumentError: a ValueError: `timeout` is not above 0.
    """

    def __init__(
        self,
        var_list: Sequence[Any] | Mapping[str, Any],
        *,
        storage_options: Mapping[str, Any] | None = None,
        unsafe_overwrite: bool = False,
        timeout: float | None = None,
    ) -> None:
        _require_eager_execution()
        self._saver = GraphSaver(
            var_list, storage_options=storage_options, unsafe_overwrite=unsafe_overwrite, timeout=timeout
        )

    def save(self, file_prefix: str | os.PathLike[str], global_step: Any = None) -> str:
        """Save the variables' own values.

        Args:
            file_prefix: the checkpoint's prefix, on any store.
            global_step: if not None, "-" and this number are appended to the prefix: an integer, or a variable, tensor
                or array with a single one.

        Returns:
            The prefix that was written, to be passed to `restore`.

        Raises:
            RuntimeError: not executing eagerly.
            TypeError: `var_list` holds something that can't be saved.
            ValueError: `var_list` is empty, or names or variables in it are not unique.
            CloudckptError: and what else `cloudckpt.train.Saver.save` raises.

        Cost: that of `cloudckpt.train.Saver.save` without a meta graph.
        """
        _require_eager_execution()
        path = self._saver.save(None, file_prefix, global_step=global_step, write_meta_graph=False)
        return cast("str", path)  # only a saver that may be empty gives None

    def restore(self, file_prefix: str | os.PathLike[str]) -> None:
        """Give the variables the values that a checkpoint has for them.

        Args:
            file_prefix: what `save` has returned, or `cloudckpt.latest_checkpoint` has found.

        Raises:
            RuntimeError: not executing eagerly.
            TypeError, ValueError: `var_list` is as `save` can't have it.
            CloudckptError: and what else `cloudckpt.train.Saver.restore` raises.
        """
        _require_eager_execution()
        self._saver.restore(None, file_prefix)


def _require_eager_execution() -> None:
    if not executing_eagerly():
        raise RuntimeError(
            "cloudckpt.eager.Saver saves and restores the own values of variables, and here a graph is the default, "
            "where sessions have values: use cloudckpt.train.Saver, or this one outside of the graph's block"
        )
