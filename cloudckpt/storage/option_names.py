"""Mistyped storage options: some filesystems of fsspec ignore them, others fail over them later, far from the URL."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from inspect import Parameter, signature
from typing import TYPE_CHECKING

from fsspec import get_filesystem_class

from cloudckpt.errors import InvalidArgumentError
from cloudckpt.storage.options import OwnOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["require_known_options"]

_OF_EVERY_STORE = {"skip_instance_cache", "use_listings_cache", "listings_expiry_time", "max_paths"}
_OF_EVERY_STORE |= {field.name for field in fields(OwnOptions)}
_S3 = {"s3", "s3a"}
_ALIKE = 0.8
"""From which likeness on a name that is not known counts as mistyped."""


def require_known_options(shown: str, protocol: str, options: Iterable[str]) -> None:
    """Raise for an option that is much like one that the protocol's filesystem knows; for S3, for all it does not know.

    Others are left alone: they may be for another store that the same options are used with, or adlfs may hand them on
    to azure.identity. What s3fs does not know, botocore would refuse.

    Args:
        shown: the URL, for the message.
        protocol: one whose filesystem says what it takes.
        options: their names.

    Raises:
        InvalidArgumentError: there is one; its value is not shown.
        ImportError: the package for the protocol is not installed.
    """
    known = _options_of(protocol)
    for name in map(str, {*options} - known):
        meant = get_close_matches(name, known, 1, _ALIKE)
        if meant or protocol in _S3:
            advice = f"did you mean {meant[0]!r}?" if meant else f"known are {', '.join(sorted(known))}"
            raise InvalidArgumentError(f"{shown}: there is no storage option {name!r}: {advice}", path=shown)


def _options_of(protocol: str) -> set[str]:
    """What is taken, by us and by a filesystem: by the signatures of its class and of those that it hands on to."""
    classes = [*get_filesystem_class(protocol).__mro__]
    if protocol in _S3:
        from aiobotocore.session import AioSession  # noqa: PLC0415 - not before a URL needs it

        classes.append(AioSession)
    return _OF_EVERY_STORE.union(*map(_parameters, classes))


def _parameters(cls: type) -> set[str]:
    if "__init__" not in cls.__dict__:
        return set()
    named = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    _, *parameters = signature(cls.__dict__["__init__"]).parameters.values()
    return {parameter.name for parameter in parameters if parameter.kind in named}
