"""`Checkpoint`: saves and restores a tree of objects, as TensorFlow's second version does.

Source of the behaviour: python/checkpoint/checkpoint.py, Checkpoint and TrackableSaver.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any

from cloudckpt.checkpoint.commit import save_tensors
from cloudckpt.checkpoint.prefix import open_prefix
from cloudckpt.errors import CheckpointNotFoundError, CheckpointPathError, InvalidArgumentError
from cloudckpt.objects.object_graph.by_name import RestorationByName
from cloudckpt.objects.object_graph.pending import Source
from cloudckpt.objects.object_graph.recognise import as_node
from cloudckpt.objects.object_graph.restore import restore_objects
from cloudckpt.objects.object_graph.save import tensors_of_objects
from cloudckpt.objects.object_graph.walk import list_nodes
from cloudckpt.objects.options import call_write_callbacks, skips_slot_variables
from cloudckpt.objects.root import AttachedRoot
from cloudckpt.objects.saved_model import checkpoint_of_saved_model
from cloudckpt.objects.status import CheckpointLoadStatus, InitializationOnlyStatus, NameBasedSaverStatus
from cloudckpt.state.checkpoint_state import write_state
from cloudckpt.state.places import SaveDirectory
from cloudckpt.storage.deadline import time_limit
from cloudckpt.variables.graphs.default_graph import executing_eagerly
from cloudckpt.variables.trackable.recognition import NoDependency
from cloudckpt.variables.trackable.trackable import Trackable
from cloudckpt.variables.trackable.wrapping import OBJECTS_AND_ARRAYS
from cloudckpt.variables.variable import Variable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloudckpt.objects.object_graph.node import Node
    from cloudckpt.objects.status import LoadStatus

__all__ = ["Checkpoint"]

SAVE_COUNTER = "save_counter"

Path = str | bytes | os.PathLike[str]


class Checkpoint(Trackable):
    """Saves and restores objects by what they hold: variables, modules, lists, dicts, optimizers, Python state.

    A save is one atomic step: whatever happens, the path holds what it held before or the whole new checkpoint. Real
    `tf.train.Checkpoint` restores it, and this restores what that has saved. A restore reads and checks everything
    before it assigns anything. Not for several threads at a time.

    Values wait for objects that are not there yet: an object that is assigned to an attribute after the restore gets
    them then. They are read with the others and kept in memory, so that a value that could be restored when `restore`
    was called can be restored later, too, whatever has become of the checkpoint since. The next restore, and
    `expect_partial()` of the status, let that memory go; what is wanted yet is then read again, while the checkpoint is
    there.

    Args:
        root: the object to save, or a weak reference to it; None for this one itself, with the objects below.
        **kwargs: objects, which become attributes of this one; a list, dict or tuple of them, too. With a root they are
            saved as if it held them. Arrays and tensors that can be assigned to, which TensorFlow refuses here, are
            objects as well.

    Raises:
        InvalidArgumentError: a ValueError: the root or another one is no such object; or the root has another object
            under that name.
    """

    root: Any
    """what was given as the root; there is no such attribute where none was"""

    def __init__(self, root: Any = None, **kwargs: Any) -> None:
        self._attached: Any = NoDependency(None if root is None else {})
        """what is saved as if the root held it; a weak reference to the root does not keep it alive"""
        self._save_counter: Any = NoDependency(None)
        self._latest_restore: Any = NoDependency(None)
        held: Mapping[str, Any] = {}
        if root is not None:
            held = _node_of("root", _referred(root)).children()
            self._save_counter = NoDependency(held.get(SAVE_COUNTER))
            kwargs["root"] = root
        for name, value in sorted(kwargs.items()):
            self._set(name, value, held)

    def _set(self, name: str, value: Any, held: Mapping[str, Any]) -> None:
        """Make an object an attribute, and attach it to the root, unless that holds it already."""
        setattr(self, name, OBJECTS_AND_ARRAYS.wrapped(value))
        kept = getattr(self, name)
        child = _referred(kept)
        _node_of(name, child)
        if child is kept and name not in self.__tracking__.children:
            self.__tracking__.track(name, child)
        if self._attached is not None and held.get(name) is None:
            self._attached[name] = kept
        elif self._attached is not None and held[name] is not child:
            raise InvalidArgumentError(
                f"{name}= is another object than the root's own attribute {name!r}: pass it under another name"
            )

    @property
    def save_counter(self) -> Any:
        """The variable that numbers the saves, an int64: 0 at first, and increased before each save."""
        if self._save_counter is None:
            counter = Variable(0, name=SAVE_COUNTER, dtype="int64", trainable=False)
            self._save_counter = NoDependency(counter)
            if self._attached is not None:
                self._attached[SAVE_COUNTER] = counter
            self.__tracking__.track(SAVE_COUNTER, counter)
        return self._save_counter

    def save(
        self,
        file_prefix: Path,
        options: Any = None,
        *,
        storage_options: Mapping[str, Any] | None = None,
        unsafe_overwrite: bool = False,
        timeout: float | None = None,
    ) -> str:
        """Increase `save_counter`, save under the prefix and its number, and name that in the directory's state file.

        Args:
            file_prefix: the beginning of the checkpoint's prefix, such as "s3://bucket/run/ckpt" for ".../ckpt-1": a
                local path, or any URL that fsspec writes.
            options: a `CheckpointOptions`, ours or TensorFlow's.
            storage_options: options of the store, as fsspec takes them.
            unsafe_overwrite: replace a checkpoint also on a store that can't tell two writers apart.
            timeout: seconds for all of it, retries included; None for no limit.

        Returns:
            The path to restore.

        Raises:
            CommitConflictError: another writer saved there meanwhile; or wrote the state file again and again, and then
                `committed` names the checkpoint, which stays.
            CloudckptError: and what `write` raises. `save_counter` stays increased.

        Cost: that of `write`; a GET and a PUT of the state file.
        """
        _refuse_in_graphs()
        number = int(self.save_counter.assign_add(1).numpy())
        path = f"{os.fsdecode(file_prefix)}-{number}"

        def name_in_state(directory: SaveDirectory) -> None:
            write_state(directory, path, [path], save_relative_paths=True)

        self._write(path, options, storage_options, unsafe_overwrite, timeout, name_in_state)
        return path

    def write(
        self,
        file_prefix: Path,
        options: Any = None,
        *,
        storage_options: Mapping[str, Any] | None = None,
        unsafe_overwrite: bool = False,
        timeout: float | None = None,
    ) -> str:
        """Save under the very prefix, without number and state file: for programs that manage checkpoints themselves.

        What this has written, `read` reads; arguments are those of `save`.

        Returns:
            The prefix.

        Raises:
            ValueError: an object was changed such that its children's names would not survive, as a list whose tracked
                elements were moved.
            TypeError: an object has no value that can be saved.
            RuntimeError: within a graph's block, where variables have the values of sessions.
            CheckpointPathError: the path names a folder, or one file of a checkpoint.
            CommitConflictError: another writer saved there meanwhile; its checkpoint is whole, this one was dropped.
            CommitTimeoutError, CommitUnknownError, UnsupportedOperationError: as for `cloudckpt.save`.
            StorageError: the store failed, or the time was over; the checkpoint that was there is untouched.

        Cost: that of `cloudckpt.save`. Variables' own arrays are not copied.
        """
        _refuse_in_graphs()
        path = os.fsdecode(file_prefix)
        self._write(path, options, storage_options, unsafe_overwrite, timeout, lambda _: None)
        return path

    def _write(  # noqa: PLR0917 - what both savers take
        self,
        path: str,
        options: Any,
        storage_options: Mapping[str, Any] | None,
        unsafe_overwrite: bool,
        timeout: float | None,
        then: Callable[[SaveDirectory], None],
    ) -> None:
        with time_limit(timeout), open_prefix(path, storage_options) as prefix:
            tensors = tensors_of_objects(self._node())
            save_tensors(prefix, tensors, alignment=1, unsafe_overwrite=unsafe_overwrite)
            call_write_callbacks(options, path)
            then(SaveDirectory.of(path, prefix))

    def read(
        self,
        save_path: Path | None,
        options: Any = None,
        *,
        keep_pending: bool = True,
        storage_options: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> LoadStatus:
        """As `restore`, of what `write` has written: `save_counter` is not made, and no SavedModel is looked for."""
        return self._restore(save_path, options, keep_pending, storage_options, timeout, self._node)

    def restore(
        self,
        save_path: Path | None,
        options: Any = None,
        *,
        keep_pending: bool = True,
        storage_options: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> LoadStatus:
        """Give the objects the values that a checkpoint has for them, now or when they are there.

        Everything that is there is read at once and checked; if anything is damaged or does not fit, nothing is
        assigned. Objects are found by the names that lead to them from the root. What only one side has is passed over:
        the status tells. A checkpoint by name, as a `Saver` writes it, is restored by the variables' own names; values
        of variables that come later are read when they come, while it is there.

        If what comes late does not fit, or can't be read, the assignment raises, and nothing has changed: the value
        waits for the next object of that name.

        Args:
            save_path: what `save` or `latest_checkpoint` returned, or a SavedModel's directory. None, as
                `latest_checkpoint` gives at the first start, restores nothing.
            options: a `CheckpointOptions`, ours or TensorFlow's.
            keep_pending: read the values of objects that are not there yet as well, and keep them. False spares time
                and memory where only part of a checkpoint is wanted: they are read when the objects come, if the
                checkpoint is still there then.
            storage_options: options of the store, as fsspec takes them.
            timeout: seconds for all of it, retries included; None for no limit.

        Returns:
            What can tell whether all went as expected: `restore(path).assert_consumed()`.

        Raises:
            CheckpointNotFoundError: there is no checkpoint of that name.
            CheckpointPathError: the path names a folder, or one file of a checkpoint, as an ".index".
            CheckpointDamagedError: the checkpoint is not whole, its bytes don't match their checksums, or what it says
                of its objects can't be.
            CheckpointVersionError: a newer program wrote it.
            InvalidArgumentError: a ValueError: a value is of another dtype or shape than its object's; also raised
                when an object comes late.
            TypeError: an object can't be assigned to.
            RuntimeError: within a graph's block, where variables have the values of sessions.
            StorageError: the store failed, or the time was over.

        Cost: a GET of the index, a LIST, a look at the index again, a ranged GET of the tree of objects, and ranged
        GETs for all values, several in flight. Memory: that of the values beside the variables' own, and of those that
        wait.
        """

        def with_counter() -> Node:
            _ = self.save_counter
            return self._node()

        try:
            status = self._restore(save_path, options, keep_pending, storage_options, timeout, with_counter)
        except (CheckpointNotFoundError, CheckpointPathError):
            inside = checkpoint_of_saved_model(os.fsdecode(save_path or ""), storage_options, timeout)
            if inside is None:
                raise
            status = self._restore(inside, options, keep_pending, storage_options, timeout, with_counter)
        counter = self.save_counter  # if it is made only now, it gets what the checkpoint has for it
        if isinstance(status, NameBasedSaverStatus):
            status.add_to_optionally_restored(counter)
        return status

    def _restore(  # noqa: PLR0917 - what both readers take
        self,
        save_path: Path | None,
        options: Any,
        keep_pending: bool,
        storage_options: Mapping[str, Any] | None,
        timeout: float | None,
        root_by_name: Callable[[], Node],
    ) -> LoadStatus:
        """Args: as `restore`; `root_by_name` gives what is restored where the checkpoint goes by name."""
        _refuse_in_graphs()
        if save_path is None:
            return InitializationOnlyStatus()
        root = self._node()
        restoration = restore_objects(
            Source(os.fsdecode(save_path), storage_options, timeout),
            root,
            lambda: list_nodes(root_by_name()),
            keep_pending=keep_pending,
            skip_slots=skips_slot_variables(options),
        )
        self._let_go_of_latest()
        if isinstance(restoration, RestorationByName):
            return NameBasedSaverStatus(restoration, root)
        self._latest_restore = NoDependency(weakref.ref(restoration))
        return CheckpointLoadStatus(restoration, root)

    def _let_go_of_latest(self) -> None:
        """Free what the restore before keeps: what waits gets its value of this one, if it has any."""
        if self._latest_restore is not None and (latest := self._latest_restore()) is not None:
            latest.let_go()

    def sync(self) -> None:
        """Nothing: saves and restores are over when they return. For programs that call it."""

    def _node(self) -> Node:
        """The root as an object of the graph."""
        if self._attached is None:
            return _node_of("self", self)
        attached = {name: _referred(kept) for name, kept in self._attached.items()}
        late = frozenset({SAVE_COUNTER} if self._save_counter is None else ())
        return AttachedRoot(_node_of("root", _referred(self.root)), attached, self.__tracking__, late)


def _refuse_in_graphs() -> None:
    if not executing_eagerly():
        raise RuntimeError(
            "a Checkpoint saves and restores variables' own values, not those of a session: use it outside of "
            "`with graph.as_default():`, and a Saver for a graph's variables"
        )


def _referred(given: Any) -> Any:
    """What is meant by an object or a weak reference to it."""
    return given() if isinstance(given, weakref.ref) else given


def _node_of(name: str, thing: Any) -> Node:
    if (node := as_node(thing)) is None:
        raise InvalidArgumentError(
            f"{name} is no object that a checkpoint can keep track of, but {thing!r}: pass a variable, a Trackable or "
            "Module, a PythonState, an array that can be written to, or a list, dict or tuple of these"
        )
    return node
