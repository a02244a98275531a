"""`Saver`: saves and restores variables by name, as TensorFlow's first version does.

Source of the behaviour: python/training/saver.py.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from cloudckpt.bundle.naming import meta_graph_filename
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.savers.saver_names import moved_out_of
from cloudckpt.saver.builder import BulkSaverBuilder
from cloudckpt.saver.built import Building
from cloudckpt.saver.last_checkpoints import LastCheckpoints
from cloudckpt.saver.memory import groups_with_values
from cloudckpt.saver.meta_graph import export_meta_graph
from cloudckpt.saver.meta_graph_file import MetaGraphFile
from cloudckpt.saver.restore import Restorer
from cloudckpt.saver.save_path import (
    check_collision,
    latest_filename_argument,
    path_argument,
    step_argument,
    with_step,
)
from cloudckpt.saver.saver_def import SaverDef, saver_def_argument
from cloudckpt.saver.session_argument import memory_argument
from cloudckpt.saver.write import Writer
from cloudckpt.state.deletions import Files
from cloudckpt.state.places import SaveDirectory
from cloudckpt.storage.deadline import time_limit
from cloudckpt.storage.location import Location
from cloudckpt.storage.urls import redacted
from cloudckpt.variables.graphs.default_graph import default_graph
from cloudckpt.variables.sessions.session import Session

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from cloudckpt.saver.builder import BaseSaverBuilder
    from cloudckpt.saver.built import Built
    from cloudckpt.saver.memory import Memory
    from cloudckpt.saver.selection import Selection
    from cloudckpt.saver.write import Written
    from cloudckpt.variables.graphs.graph import Graph

__all__ = ["Saver"]

logger = logging.getLogger(__name__)


class Saver:
    """Saves and restores variables by their names, and keeps the last few checkpoints.

    A save is one atomic step: whatever happens, the path holds what it held before or the whole new checkpoint. The
    order is data, index, meta graph, state file, deletions; what fails leaves what comes later undone. A saver may be
    used from any thread; its saves run one after another.

    Made within a graph (`with graph.as_default():`), it is built at once: it then has nodes in the graph, with which
    real TensorFlow saves and restores, and writes the graph to a `.meta` file beside each checkpoint. Made while
    executing eagerly, it looks at `var_list` anew at each save and restore, and writes no meta graph.

    Args:
        var_list: what to save: a list of variables (which go by their own names) and saveable objects, or a dict from
            names to variables. Variables of any framework (`as_holder`), partitioned ones, lists of parts. None in a
            graph for all its variables and saveable objects when it is built.
        reshape: let a restore give a tensor the shape of its variable, if it has as many elements.
        sharded: write a data file for each device that has variables.
        max_to_keep: how many checkpoints to keep; the oldest goes when there are more. None or 0 for all of them, of
            which the state file then names the last only.
        keep_checkpoint_every_n_hours: beside those, keep one for every so many hours for good.
        name: of the scope of the nodes; with `saver_def`, the scope that the graph was imported into.
        restore_sequentially: read and assign one variable after the other, in no more memory than the largest needs.
        saver_def: of a saver that the graph has already, whose nodes then say what is saved unless `var_list` does:
            ours, or a message of TensorFlow's. It says `max_to_keep`, `keep_checkpoint_every_n_hours` and the format.
        builder: how tensors are written and read; `BulkSaverBuilder()` by default.
        defer_build: leave the nodes to `build()`, to which the variables are left, too.
        allow_empty: let a saver without variables do nothing, instead of raising.
        write_version: `SaverDef.V2`, or `SaverDef.V1` for the format of before 2016. Both are restored in any case.
        pad_step_number: let the number of the step have 8 digits in file names.
        save_relative_paths: let the state file name checkpoints relative to its directory, so that this can be moved.
        filename: the prefix that the nodes take where none is fed.
        storage_options: options of the store, as fsspec takes them.
        unsafe_overwrite: replace a checkpoint also on a store that can't tell two writers apart, and the files of a
            sharded V1 checkpoint, which are never replaced all at once.
        timeout: seconds for each save or restore, retries included; None for no limit. When it is over they raise
            `StorageTimeoutError`. Cleaning up after it may take some more.

    Raises:
        TypeError: `var_list` is invalid.
        InvalidArgumentError: a ValueError: names or variables are not unique, there are none, `var_list` is given with
            `defer_build`, `saver_def` is no SaverDef or lacks names, `write_version` is unknown,
            `max_to_keep` is negative, or `timeout` not above 0.
        RuntimeError: no `var_list` is given outside a graph, or the graph is finalized.
    """

    def __init__(  # noqa: PLR0917 - TensorFlow's arguments
        self,
        var_list: Any = None,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        name: str | None = None,
        restore_sequentially: bool = False,
        saver_def: Any = None,
        builder: BaseSaverBuilder | None = None,
        defer_build: bool = False,
        allow_empty: bool = False,
        write_version: int = SaverDef.V2,
        pad_step_number: bool = False,
        save_relative_paths: bool = False,
        filename: str | None = None,
        *,
        storage_options: Mapping[str, Any] | None = None,
        unsafe_overwrite: bool = False,
        timeout: float | None = None,
    ) -> None:
        self._graph = default_graph()
        _check_var_list(self._graph, var_list, defer_build=defer_build)
        if timeout is not None and not timeout > 0:
            raise InvalidArgumentError(f"timeout must be None or more than 0 seconds, got {timeout}")
        self.saver_def: Any = None if saver_def is None else saver_def_argument(saver_def)
        self._builder = BulkSaverBuilder(write_version) if builder is None else builder
        self._building = Building(
            var_list,
            self._builder,
            sharded=sharded,
            allow_empty=allow_empty,
            reshape=reshape,
            name=name,
            filename=filename,
            max_to_keep=max_to_keep,
            keep_checkpoint_every_n_hours=keep_checkpoint_every_n_hours,
        )
        self._restore_sequentially = restore_sequentially
        self._pad_step_number = pad_step_number
        self._save_relative_paths = save_relative_paths
        self._options = storage_options
        self._unsafe_overwrite = unsafe_overwrite
        self._timeout = timeout
        self._lock = threading.RLock()
        self._built: Built | None = None
        self._meta_graph = MetaGraphFile()
        limits = self._building if self.saver_def is None else self.saver_def
        self._last = LastCheckpoints(
            limits.max_to_keep, limits.keep_checkpoint_every_n_hours, storage_options=storage_options
        )
        if self._graph is not None and not defer_build:
            self.build()

    def build(self) -> None:
        """Add the nodes to the graph, and fix what is saved. Does nothing the second time.

        Raises:
            RuntimeError: executing eagerly, where nothing is built; or the graph is finalized.
            TypeError, InvalidArgumentError: as the constructor.
        """
        with self._lock:
            graph = self._graph or default_graph()
            if graph is None:
                raise RuntimeError("build() is for savers of a graph: use save and restore, which need none")
            if self._built is not None:
                return
            self._graph, self._built = graph, self._building.build(graph, self.saver_def)
            self.saver_def = self._built.saver_def
            self._last.restart_hours()

    def _selected(self, sess: Any) -> Selection:
        """What is saved or restored of a session."""
        if self._graph is None:
            return self._building.select()
        if self._built is None:
            raise RuntimeError("call build() before the saver is used: it was made with defer_build=True")
        return self._built.within(_graph_of(sess, self._graph))

    def save(  # noqa: PLR0917 - TensorFlow's arguments
        self,
        sess: Any,
        save_path: str | bytes | os.PathLike[str],
        global_step: Any = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> str | None:
        """Save the variables as one checkpoint, in one atomic step; its directory is made where it is missing.

        Args:
            sess: whose values: a `Session`'s; None for the variables' own; or a mapping of arrays by their names in
                the checkpoint.
            save_path: the checkpoint's prefix, on any store.
            global_step: a number that is appended to the prefix, "-7": an integer; a variable, an array or a tensor
                with one; a tensor's name. None for none.
            latest_filename: the state file, in the directory of the checkpoint; "checkpoint" by default.
            meta_graph_suffix: of the file with the graph.
            write_meta_graph: write that file, if the saver is of a graph.
            write_state: take the checkpoint into `last_checkpoints`, name it in the state file, and delete what drops
                out of the list.
            strip_default_attrs: leave attributes with default values out of the graph's nodes.
            save_debug_info: with the graph, also write where in the program its nodes were made.

        Returns:
            The path to restore: the prefix with its step; of a sharded V1 checkpoint with "-?????-of-00003" after it.
            None if the saver is empty.

        Raises:
            TypeError: `sess`, `save_path` or `global_step` is nothing of the kind.
            InvalidArgumentError: a ValueError: `latest_filename` has path components or is the path's own last one; a
                variable has no value; the tensors don't fit together, or the format can't hold one.
            RuntimeError: the saver is not built.
            CheckpointPathError: the path names a folder, or one file of a checkpoint.
            CommitConflictError: another writer saved there meanwhile; or wrote the state file again and again, and
                then `committed` names the checkpoint, which stays.
            CommitTimeoutError, CommitUnknownError, UnsupportedOperationError: as for `cloudckpt.save`.
            StorageError: the store failed, or the time was over (`StorageTimeoutError`). Unless it was at the meta
                graph or the state, nothing has changed; else the checkpoint is there, is in `last_checkpoints`, and
                is named by the next save.

        Cost: that of `cloudckpt.save`, with the data in one file, or in one for each device (large ones in several on
        stores that take a file's bytes only in order, as GCS does); a PUT of the meta graph, which is encoded only
        when the graph has changed; a GET and a PUT of the state; where something is deleted, a LIST of the directory, a
        GET for each other state file there that has changed, and three requests for each checkpoint that goes.
        Variables' own arrays in C order are not copied.
        """
        with self._lock, time_limit(self._timeout):
            selection = self._selected(sess)
            state_name = latest_filename_argument(latest_filename)
            memory = memory_argument(sess)
            path = self._checkpoint_path(sess, path_argument(save_path), global_step)
            if global_step is None:
                check_collision(path, state_name, several=selection.sharded and selection.write_version == SaverDef.V1)
            with open_prefix(path, self._options) as prefix:
                written = self._write(prefix, path, selection, memory)
                if written is not None:
                    # Before anything else can fail, so that retention knows of it.
                    note = self._last.record if write_state else self._last.saved_again
                    note(written.path, written.version)
                if write_meta_graph and self._graph is not None:
                    self._meta_graph.write(
                        Location(prefix.store, meta_graph_filename(prefix.key, meta_graph_suffix)),
                        _graph_of(sess, self._graph),
                        self.saver_def,
                        strip_default_attrs=strip_default_attrs,
                        save_debug_info=save_debug_info,
                    )
                if written is None:
                    return None
                if write_state:
                    files = Files(state_name, selection.write_version, meta_graph_suffix)
                    self._keep(SaveDirectory.of(path, prefix), written.path, files)
            if self._graph is None:
                self.saver_def = self._eager_saver_def(written.path)
            return written.path

    def _write(self, prefix: Location, path: str, selection: Selection, memory: Memory) -> Written | None:
        """Commit a checkpoint; None if the saver is empty."""
        if selection.is_empty:
            return None
        writer = Writer(self._builder, selection.sharded, selection.write_version, self._unsafe_overwrite)
        return writer.write(prefix, path, groups_with_values(selection.groups, memory))

    def _checkpoint_path(self, sess: Any, save_path: str, global_step: Any) -> str:
        if global_step is None:
            return save_path
        return with_step(save_path, step_argument(global_step, sess), pad=self._pad_step_number)

    def _keep(self, directory: SaveDirectory, path: str, files: Files) -> None:
        """Name a checkpoint that is in the list in the state file, and delete what has dropped out of the list."""
        self._last.write_state(
            directory, path, latest_filename=files.state, save_relative_paths=self._save_relative_paths
        )
        self._last.delete_dropped(directory, files)

    def restore(self, sess: Any, save_path: str | bytes | os.PathLike[str] | None) -> None:
        """Give the variables the values that a checkpoint has for them, in whatever format and slices it was written.

        Everything is read and checked first; if anything is missing, damaged or does not fit, nothing is assigned. With
        `restore_sequentially` that holds for names, dtypes and shapes; damaged data is found when its turn comes.
        What the checkpoint lacks is looked up among the names of its objects, if it was written by object.

        Args:
            sess: where to put the values: a `Session`, whose variables are then initialized; None for the variables
                themselves; or a mapping to fill, by the names in the checkpoint.
            save_path: what `save` or `latest_checkpoint` returned.

        Raises:
            InvalidSavePathError: a ValueError: there is no checkpoint at the path.
            InvalidArgumentError: a ValueError: the path is None; a tensor has another dtype or shape than its variable.
            CheckpointPathError: a ValueError: the path names a folder, or one file of a checkpoint, as an ".index".
            TypeError: `sess` or `save_path` is nothing of the kind, or a variable can't be assigned to.
            RuntimeError: the saver is not built.
            TensorNotFoundError: the checkpoint lacks tensors; the message names them.
            CheckpointDamagedError: the checkpoint is not whole, or its bytes don't match their checksums.
            StorageError: the store failed, or the time was over.

        Cost: a GET of the index, a LIST, a look at the index again, and ranged GETs, several in flight, straight into
        the new arrays, which our own variables take over. Memory: that of the tensors beside the variables' own, with
        `restore_sequentially` that of the largest; of a V1 file up to four times as much for the largest.
        """
        selection = self._selected(sess)
        if not selection.restored:
            return
        if save_path is None:
            raise InvalidArgumentError("save_path is None: there is nothing to restore; start anew, or pass a path")
        path, memory = path_argument(save_path), memory_argument(sess)
        logger.info("restoring parameters from %s", redacted(path))
        restorer = Restorer(
            self._builder,
            selection.restored,
            memory,
            reshape=self._building.reshape,
            sequentially=self._restore_sequentially,
        )
        with time_limit(self._timeout):
            restorer.restore(path, self._options)

    def export_meta_graph(  # noqa: PLR0917 - TensorFlow's arguments
        self,
        filename: str | os.PathLike[str] | None = None,
        collection_list: Iterable[str] | None = None,
        as_text: bool = False,
        export_scope: str | None = None,
        clear_devices: bool = False,
        clear_extraneous_savers: bool = False,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> Any:
        """The graph with this saver as a MetaGraphDef, which is also written to a file if one is named.

        Args:
            filename: on any store; None to write none.
            collection_list: the collections to export; all by default.
            as_text: write text instead of bytes.
            export_scope: export only what is in this name scope, without it in the names.
            clear_devices: leave out where nodes are to run.
            clear_extraneous_savers: leave out other savers, and their nodes.
            strip_default_attrs: leave out attributes that have their op's default values.
            save_debug_info: beside the file, also write where in the program the nodes were made.

        Raises:
            RuntimeError: the saver is of no graph, and executing eagerly there is no default one.
            StorageError: the store failed.
            CloudckptError: and what `cloudckpt.train.export_meta_graph` raises.
        """
        return export_meta_graph(
            filename,
            saver_def=self.saver_def,
            collection_list=collection_list,
            as_text=as_text,
            graph=self._graph,
            export_scope=export_scope,
            clear_devices=clear_devices,
            clear_extraneous_savers=clear_extraneous_savers,
            strip_default_attrs=strip_default_attrs,
            save_debug_info=save_debug_info,
            storage_options=self._options,
        )

    def as_saver_def(self) -> Any:
        """The SaverDef that names this saver's nodes; None before it is built, and of a saver that is empty."""
        return self.saver_def

    def to_proto(self, export_scope: str | None = None) -> Any:
        """As `as_saver_def`; with a scope a copy without it in the names, or None if the nodes are not in it."""
        if export_scope is None or self.saver_def is None:
            return self.saver_def
        return moved_out_of(self.saver_def, export_scope)

    @staticmethod
    def from_proto(saver_def: Any, import_scope: str | None = None) -> Saver:
        """A saver of nodes that the default graph has.

        Args:
            saver_def: a SaverDef, ours or TensorFlow's.
            import_scope: the scope that the graph was imported into.

        Raises:
            InvalidArgumentError: it is no SaverDef, or lacks names.
            RuntimeError: there is no default graph.
        """
        return Saver(saver_def=saver_def, name=import_scope)

    @property
    def last_checkpoints(self) -> list[str]:
        """The paths of the checkpoints that were saved and not yet dropped, oldest first; a fresh list."""
        with self._lock:
            return self._last.names

    def set_last_checkpoints(self, last_checkpoints: list[str]) -> None:
        """Take paths for `last_checkpoints`, none of which is ever deleted. Use `set_last_checkpoints_with_time`.

        Raises:
            AssertionError: it is no list.
        """
        with self._lock:
            self._last.set(last_checkpoints)

    def set_last_checkpoints_with_time(self, last_checkpoints_with_time: list[tuple[str, float]]) -> None:
        """Take paths, with the times at which they were saved (seconds since the epoch), for `last_checkpoints`.

        Raises:
            AssertionError: it is no list.
        """
        with self._lock:
            self._last.set_with_time(last_checkpoints_with_time)

    def recover_last_checkpoints(self, checkpoint_paths: Iterable[str]) -> None:
        """Take those paths for `last_checkpoints` that are there, with their files' times: for use after a restart.

        Raises:
            StorageError: the store failed; that a checkpoint is not there (any more) is no error.
        """
        with self._lock:
            self._last.recover(checkpoint_paths)

    def _eager_saver_def(self, path: str) -> Any:
        """What TensorFlow leaves after a save that had no graph: the path in place of nodes."""
        return SaverDef(
            filename_tensor_name=path,
            save_tensor_name=path,
            max_to_keep=self._building.max_to_keep or 0,
            sharded=self._building.sharded,
            keep_checkpoint_every_n_hours=self._building.keep_checkpoint_every_n_hours,
            version=self._builder.write_version,
        )


def _graph_of(sess: Any, otherwise: Graph) -> Graph:
    """That of a session, or else the saver's."""
    return sess.graph if isinstance(sess, Session) else otherwise


def _check_var_list(graph: Graph | None, var_list: Any, *, defer_build: bool) -> None:
    if graph is None and var_list is None:
        raise RuntimeError(
            "outside of a graph nobody knows which variables there are: pass var_list, a list or dict of them, or make "
            "them and the saver within `with graph.as_default():`"
        )
    if defer_build and _is_given(var_list):
        raise InvalidArgumentError("a saver with a var_list can't be built later: leave out defer_build, or var_list")


def _is_given(var_list: Any) -> bool:
    return len(var_list) > 0 if hasattr(var_list, "__len__") else var_list is not None
