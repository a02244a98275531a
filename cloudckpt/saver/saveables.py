"""From a `var_list` to what is saved, in the order of the names.

Source: python/training/saving/saveable_object_util.py, op_list_to_dict and validate_and_slice_inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cloudckpt.collection import collection_paused
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.saver.saveable_object import SaveableObject, VariableSaveable
from cloudckpt.variables.holder import as_holder
from cloudckpt.variables.partitions.partitioned import PartitionedVariable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cloudckpt.variables.holder import Holder

__all__ = ["saveables_of"]


@collection_paused()
def saveables_of(var_list: Any) -> list[SaveableObject]:
    """The saveables of a list, or of a dict by name, sorted by name.

    A variable of a list goes by its own name, one of a dict by its key. Parts of a partitioned variable go together
    under the name of the whole, in a list by what each says of itself, in a dict as a list of parts or as the
    partitioned variable; one part by itself in a dict is a variable like any other. A `SaveableObject` always goes by
    its own name.

    Args:
        var_list: a list, tuple or set, nested or not, or a dict; of variables of any framework (`as_holder`),
            partitioned ones and saveable objects.

    Raises:
        TypeError: it is neither, a key is no string, or there is something that can't be saved, or has no name.
        InvalidArgumentError: two have the same name, one is there twice, or parts don't belong together.
    """
    named = _checked_keys(var_list) if isinstance(var_list, Mapping) else _by_name(var_list)
    saveables = [saveable for name in sorted(named) for saveable in _saveables(name, named[name])]
    _check_objects(saveables)
    _check_names(saveables)
    return saveables


def _checked_keys(named: Mapping[Any, Any]) -> Mapping[str, Any]:
    for name in named:
        if not isinstance(name, str):
            raise TypeError(f"the keys of var_list must be names, got {name!r}, a {type(name).__name__}")
    return named


def _by_name(var_list: Any) -> dict[str, Any]:
    """The variables of a list by name; a list of them where they are parts of one."""
    if not isinstance(var_list, list | tuple | set | frozenset):
        raise TypeError(f"var_list must be a list or a dict of variables, got {type(var_list).__name__}")
    named: dict[str, Any] = {}
    for thing in _flat(var_list):
        if isinstance(thing, SaveableObject | PartitionedVariable):
            _add(named, thing.name, thing)
        elif (info := (holder := _holder(thing)).save_slice_info) is None:
            _add(named, _own_name(holder), thing)
        else:
            parts = named.setdefault(info.full_name, [])
            if not isinstance(parts, list):
                raise _same_name(info.full_name)
            parts.append(thing)
    return named


def _flat(var_list: Iterable[Any]) -> Iterator[Any]:
    for item in var_list:
        if isinstance(item, list | tuple | set | frozenset):
            yield from _flat(item)
        elif isinstance(item, Mapping):
            yield from _flat(item.values())
        else:
            yield item


def _add(named: dict[str, Any], name: str, thing: Any) -> None:
    if name in named:
        raise _same_name(name)
    named[name] = thing


def _same_name(name: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"at least two variables have the same name: {name!r}. Give them in a dict, each under a name of its own"
    )


def _own_name(holder: Holder) -> str:
    if not holder.name:
        raise TypeError(
            f"a {type(holder.thing).__name__} has no name to be saved under: give it in a dict, under a name"
        )
    return holder.name


def _holder(thing: Any, name: str | None = None) -> Holder:
    if (holder := as_holder(thing)) is None:
        named = "" if name is None else f" for {name!r}"
        raise TypeError(
            f"var_list must hold variables, arrays and SaveableObjects, got {thing!r}{named}, a "
            f"{type(thing).__module__}.{type(thing).__qualname__}"
        )
    return holder


def _saveables(name: str, thing: Any) -> Iterator[SaveableObject]:
    """Those of what goes by one name."""
    if isinstance(thing, SaveableObject):
        yield thing
    elif isinstance(thing, list | tuple | PartitionedVariable):
        yield from _parts(name, [*thing])
    else:
        _holder(thing, name)
        yield VariableSaveable(thing, "", name)


def _parts(name: str, parts: Sequence[Any]) -> Iterator[SaveableObject]:
    full_names = set()
    for part in parts:
        if isinstance(part, SaveableObject):
            yield part
            continue
        if (info := _holder(part, name).save_slice_info) is None:
            raise InvalidArgumentError(
                f"the variables of the list {name!r} must be parts of one partitioned variable, and {part!r} is none"
            )
        full_names.add(info.full_name)
        if len(full_names) > 1:
            raise InvalidArgumentError(f"the parts of {name!r} are of several variables: {sorted(full_names)}")
        yield VariableSaveable(part, info.spec, name)


def _check_objects(saveables: Iterable[SaveableObject]) -> None:
    names: dict[int, str] = {}
    for saveable in saveables:
        if saveable.op is None:
            continue
        if (other := names.get(id(saveable.op))) is not None:
            raise InvalidArgumentError(
                f"one variable is given twice, as {other!r} and as {saveable.name!r}: a restore could only keep one of "
                "both"
            )
        names[id(saveable.op)] = saveable.name


def _check_names(saveables: Iterable[SaveableObject]) -> None:
    seen = set()
    for saveable in saveables:
        for spec in saveable.specs:
            if (key := (spec.name, spec.slice_spec)) in seen:
                as_slice = f" as {spec.slice_spec!r}" if spec.slice_spec else ""
                raise InvalidArgumentError(f"at least two tensors have the same name: {spec.name!r}{as_slice}")
            seen.add(key)
