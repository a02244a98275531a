"""What a session is asked for: elements of its graph, in lists, tuples and dicts of any depth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.graphs.operation import Operation, Tensor
    from cloudckpt.variables.sessions.state import SessionState

__all__ = ["Question", "fetched_element", "mapped"]


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask a session that is no operation of its graph, so that it is in no graph's file either.

    Attributes:
        name: what it is, for people.
        answer: gives the array, from the session's values.
    """

    name: str
    answer: Callable[[SessionState], Any]


def mapped(fetches: Any, convert: Callable[[Any], Any]) -> Any:
    """The same lists, tuples and dicts with each leaf replaced by what a function gives for it."""
    if isinstance(fetches, Mapping):
        values = {key: mapped(value, convert) for key, value in fetches.items()}
        if type(fetches) is dict:
            return values
        if isinstance(fetches, defaultdict):
            return defaultdict(fetches.default_factory, values)
        return type(fetches)(values)  # type: ignore[call-arg]  # as OrderedDict
    if isinstance(fetches, tuple) and hasattr(fetches, "_fields"):
        return type(fetches)(*(mapped(value, convert) for value in fetches))
    if isinstance(fetches, list | tuple):
        return type(fetches)(mapped(value, convert) for value in fetches)
    return convert(fetches)


def fetched_element(graph: Graph, fetch: Any) -> Operation | Tensor | Question:
    """What one leaf of the fetches is.

    Raises:
        TypeError: it is neither an element of a graph nor the name of one.
        ValueError: it is of another graph, or in none, or the graph has none of that name.
    """
    if isinstance(fetch, Question):
        return fetch
    try:
        return graph.as_graph_element(fetch)
    except KeyError as error:
        raise ValueError(f"can't fetch {fetch!r}: {error.args[0]}") from error
    except ValueError as error:
        raise ValueError(f"can't fetch {fetch!r}: {error}") from error
    except TypeError as error:
        raise TypeError(
            f"can't fetch {fetch!r}: a session runs variables, tensors, operations and their names, in lists, tuples "
            "and dicts"
        ) from error
