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
from cloudckpt.saver.builder import BulkSaverBuilder
from cloudckpt.saver.graph_nodes import add_nodes
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
from cloudckpt.saver.saveables import saveables_of
from cloudckpt.saver.saver_def import SaverDef, check_complete, moved_into, moved_out_of, saver_def_argument
from cloudckpt.saver.selection import NodeSelection, Selection, all_saveable_objects
from cloudckpt.saver.session_argument import memory_argument
from cloudckpt.saver.write import Writer
from cloudckpt.state.places import SaveDirectory
from cloudckpt.storage.location import Location
from cloudckpt.variables.graphs.default_graph import default_graph
from cloudckpt.variables.sessions.session import Session

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from cloudckpt.saver.builder import BaseSaverBuilder
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
        var_list: what to save: a list of variables (which go by their own names) and `SaveableObject`s, or a dict from
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

    Raises:
        TypeError: `var_list` is invalid.
        InvalidArgumentError: a ValueError: names or variables are not unique, there are none, `var_list` is given with
            `defer_build`, `saver_def` is no SaverDef or lacks names, `write_version` is unknown.
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
    ) -> None:
        self._graph = default_graph()
        _check_var_list(self._graph, var_list, defer_build=defer_build)
        self.saver_def: Any = None if saver_def is None else saver_def_argument(saver_def)
        self._var_list = var_list
        self._reshape = reshape
        self._sharded = sharded
        self._max_to_keep = max_to_keep
        self._keep_checkpoint_every_n_hours = keep_checkpoint_every_n_hours
        self._name = name
        self._restore_sequentially = restore_sequentially
        self._allow_empty = allow_empty
        self._pad_step_number = pad_step_number
        self._save_relative_paths = save_relative_paths
        self._filename = filename
        self._options = storage_options
        self._unsafe_overwrite = unsafe_overwrite
        self._builder = BulkSaverBuilder(write_version) if builder is None else builder
        self._write_version = self._builder.write_version
        self._lock = threading.RLock()
        self._selection: Selection | None = None
        self._nodes: NodeSelection | None = None
        self._is_built = False
        self._meta_graph = MetaGraphFile()
        self._last = self._new_list()
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
            if self._is_built:
                return
            self._graph = graph
            if self.saver_def is None:
                self._add_nodes(graph)
            else:
                self._take_nodes()
            self._is_built = True
            self._last.restart_hours()

    def _add_nodes(self, graph: Graph) -> None:
        selection = self._select(all_saveable_objects(graph) if self._var_list is None else self._var_list)
        self._selection = selection
        if not selection.restored:
            return
        with graph.as_default():
            self.saver_def = add_nodes(
                graph,
                selection.restored,
                self._builder,
                name=self._name,
                filename=self._filename,
                sharded=self._sharded,
                reshape=self._reshape,
                max_to_keep=self._max_to_keep,
                keep_checkpoint_every_n_hours=self._keep_checkpoint_every_n_hours,
            )
        self._nodes = NodeSelection(self.saver_def)

    def _take_nodes(self) -> None:
        """Save and restore what the nodes of an earlier saver do, or the list of variables in their place."""
        if self._name:
            self.saver_def = moved_into(self.saver_def, self._name)
        check_complete(self.saver_def)
        self._nodes = NodeSelection(self.saver_def)
        self._write_version = SaverDef.V2 if self.saver_def.version == SaverDef.V2 else SaverDef.V1
        if self._var_list is not None:
            self._selection = self._select(self._var_list)

    def _select(self, var_list: Any) -> Selection:
        saveables = saveables_of(var_list)
        if not saveables and not self._allow_empty:
            raise InvalidArgumentError(
                "there are no variables to save: make them before the saver, name them in var_list, or pass "
                "allow_empty=True for a saver that does nothing"
            )
        return Selection.of(saveables, sharded=self._sharded, write_version=self._write_version)

    def _selected(self, sess: Any) -> Selection:
        """What is saved or restored of a session."""
        if self._graph is None:
            return self._select(self._var_list)
        if not self._is_built:
            raise RuntimeError("call build() before the saver is used: it was made with defer_build=True")
        graph = sess.graph if isinstance(sess, Session) else self._graph
        if self._nodes is None or (self._selection is not None and graph is self._graph):
            return self._selection or Selection.of([], sharded=False, write_version=self._write_version)
        return self._nodes.within(graph)

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
            StorageError: the store failed; unless it was at the meta graph, the state or later, nothing has changed.

        Cost: that of `cloudckpt.save`, with the data in one file, or in one for each device (large ones in several on
        stores that take a file's bytes only in order, as GCS does); a PUT of the meta graph,
        which is encoded only when the graph has changed; a GET and a PUT of the state; a GET and two requests more for
        what is deleted. Variables' own arrays in C order are not copied.
        """
        with self._lock:
            selection = self._selected(sess)
            state_name = latest_filename_argument(latest_filename)
            memory = memory_argument(sess)
            path = self._checkpoint_path(sess, path_argument(save_path), global_step)
            if global_step is None:
                check_collision(path, state_name, several=selection.sharded and selection.write_version == SaverDef.V1)
            with open_prefix(path, self._options) as prefix:
                written = None
                if selection.restored or any(selection.groups):
                    groups = groups_with_values(selection.groups, memory)
                    writer = Writer(self._builder, selection.sharded, selection.write_version, self._unsafe_overwrite)
                    written = writer.write(prefix, path, groups)
                if write_meta_graph and self._graph is not None:
                    self._meta_graph.write(
                        Location(prefix.store, meta_graph_filename(prefix.key, meta_graph_suffix)),
                        sess.graph if isinstance(sess, Session) else self._graph,
                        self.saver_def,
                        strip_default_attrs=strip_default_attrs,
                        save_debug_info=save_debug_info,
                    )
                if written is None:
                    return None
                if write_state:
                    directory = SaveDirectory.of(path, prefix)
                    self._keep(directory, written, state_name, selection.write_version, meta_graph_suffix)
                else:
                    self._last.saved_again(written.path, written.version)
            if self._graph is None:
                self.saver_def = self._eager_saver_def(written.path)
            return written.path

    def _checkpoint_path(self, sess: Any, save_path: str, global_step: Any) -> str:
        if global_step is None:
            return save_path
        return with_step(save_path, step_argument(global_step, sess), pad=self._pad_step_number)

    def _keep(
        self, directory: SaveDirectory, written: Written, state_name: str, format_version: int, meta_graph_suffix: str
    ) -> None:
        """Take a committed checkpoint into the list, and delete what drops out of it."""
        self._last.record(written.path, written.version)
        self._last.write_state(
            directory,
            written.path,
            latest_filename=state_name,
            save_relative_paths=self._save_relative_paths,
        )
        self._last.delete_dropped(
            directory,
            latest_filename=state_name,
            format_version=format_version,
            meta_graph_suffix=meta_graph_suffix,
        )

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
            StorageError: the store failed.

        Cost: a GET of the index, a LIST, a look at the index again, and ranged GETs, several in flight, straight into
        the new arrays, which our own variables take over. Memory: that of the tensors beside the variables' own, with
        `restore_sequentially` that of the largest.
        """
        selection = self._selected(sess)
        if not selection.restored:
            return
        if save_path is None:
            raise InvalidArgumentError("save_path is None: there is nothing to restore; start anew, or pass a path")
        path, memory = path_argument(save_path), memory_argument(sess)
        logger.info("restoring parameters from %s", path)
        restorer = Restorer(
            self._builder, selection.restored, memory, reshape=self._reshape, sequentially=self._restore_sequentially
        )
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

    def _new_list(self) -> LastCheckpoints:
        keep, hours = self._max_to_keep, self._keep_checkpoint_every_n_hours
        if self.saver_def is not None:
            keep, hours = self.saver_def.max_to_keep, self.saver_def.keep_checkpoint_every_n_hours
        return LastCheckpoints(keep, hours, storage_options=self._options)

    def _eager_saver_def(self, path: str) -> Any:
        """What TensorFlow leaves after a save that had no graph: the path in place of nodes."""
        return SaverDef(
            filename_tensor_name=path,
            save_tensor_name=path,
            max_to_keep=self._max_to_keep or 0,
            sharded=self._sharded,
            keep_checkpoint_every_n_hours=self._keep_checkpoint_every_n_hours,
            version=self._write_version,
        )


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
