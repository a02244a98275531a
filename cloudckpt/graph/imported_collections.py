"""Collections of an imported graph, from CollectionDefs.

Source: python/framework/meta_graph.py, import_scoped_meta_graph_with_return_elements.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from cloudckpt.bundle.tensor_names import decode_name
from cloudckpt.descriptors import message_class
from cloudckpt.errors import InvalidArgumentError
from cloudckpt.graph.collections import VARIABLE_COLLECTIONS
from cloudckpt.graph.context_names import NAMED_CONTEXTS, moved_into_scope
from cloudckpt.graph.names import prepend_scope
from cloudckpt.graph.savers.saver_names import moved_into
from cloudckpt.graph.variable_def import decode_variable
from cloudckpt.variables.graphs.keys import GraphKeys

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudckpt.variables.graphs.graph import Graph
    from cloudckpt.variables.variable import Variable

__all__ = ["ImportedCollections"]

logger = logging.getLogger(__name__)

_SAYS_TRAINABLE: Final = (1, 9)
"""The version of TensorFlow from which on a VariableDef says whether its variable is trainable."""


class ImportedCollections:
    """Adds the collections of a MetaGraphDef to the graph that its nodes were imported into.

    Args:
        graph: which has the nodes.
        meta: the MetaGraphDef.
        scope: that the nodes were imported into; "" for none.
        make_saver: makes a saver of a SaverDef and a scope, for the collection of savers; None to put in the SaverDefs.
    """

    def __init__(self, graph: Graph, meta: Any, scope: str, make_saver: Callable[[Any, str], Any] | None) -> None:
        self._graph = graph
        self._meta = meta
        self._scope = scope
        self._make_saver = make_saver
        self._says_trainable = _says_trainable(meta.meta_info_def.tensorflow_version)
        self._variables: dict[bytes, Variable] = {}

    def add(self, wanted: Callable[[str], bool]) -> None:
        """Add the collections whose names `wanted` says are.

        Raises:
            InvalidArgumentError: one names a node that the graph does not have, or can't be decoded.
        """
        # Where variables don't say it themselves, the trainable ones are those of this collection: it comes first.
        for key in sorted(self._meta.collection_def, key=lambda key: (key != GraphKeys.TRAINABLE_VARIABLES, key)):
            if wanted(key):
                self._add_one(key, self._meta.collection_def[key])

    def _add_one(self, key: str, collection: Any) -> None:
        kind = collection.WhichOneof("kind")
        if kind is None:
            logger.error("collection %r is not imported: its values are of no known kind", key)
            return
        for value in getattr(collection, kind).value:
            self._graph.add_to_collection(key, self._decoded(key, kind, value))

    def _decoded(self, key: str, kind: str, value: Any) -> Any:
        match kind:
            case "bytes_list" if key in VARIABLE_COLLECTIONS:
                return self._variable(key, value)
            case "bytes_list" if key == GraphKeys.SAVERS:
                return self._saver(value)
            case "bytes_list" if key in NAMED_CONTEXTS:
                return moved_into_scope(key, value, self._scope)
            case "bytes_list":
                return prepend_scope(decode_name(value), self._scope) if self._scope else value
            case "node_list":
                return self._element(key, value)
        return value

    def _variable(self, key: str, data: bytes) -> Variable:
        if data not in self._variables:
            message = _parsed("tensorflow.VariableDef", data, key)
            trainable = None if self._says_trainable else key == GraphKeys.TRAINABLE_VARIABLES
            variable = decode_variable(self._graph, message, import_scope=self._scope, trainable=trainable)
            self._variables[data] = variable
        return self._variables[data]

    def _saver(self, data: bytes) -> Any:
        message = _parsed("tensorflow.SaverDef", data, GraphKeys.SAVERS)
        if self._make_saver is not None:
            return self._make_saver(message, self._scope)
        return moved_into(message, self._scope)

    def _element(self, key: str, name: str) -> Any:
        try:
            return self._graph.as_graph_element(prepend_scope(name, self._scope))
        except (KeyError, ValueError) as error:
            raise InvalidArgumentError(f"collection {key!r} names {name!r}, which the graph does not have") from error


def _parsed(full_name: str, data: bytes, key: str) -> Any:
    try:
        return message_class(full_name).FromString(data)
    except DecodeError as error:
        raise InvalidArgumentError(f"collection {key!r} has a value that is no {full_name}: {error}") from error


def _says_trainable(version: str) -> bool:
    match = re.match(r"(\d{1,9})\.(\d{1,9})", version)
    return match is None or (int(match[1]), int(match[2])) >= _SAYS_TRAINABLE
