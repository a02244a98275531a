"""The ops of which our graphs consist, in the notation in which TensorFlow registers its own.

An argument is "name: type", "name: Ref(type)" for a variable itself, or "name: N * type" for a list; its type is a
dtype or an attribute. An attribute is "name: kind", "name: kind >= least", or "name: {allowed, allowed}", and then
" = default", where "?" is the shape of unknown rank. What TensorFlow's own inference of types adds is left out.

Sources of the facts: core/ops/{array,io,state,resource_variable,string,no_op,math}_ops.cc.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["NUMBERS", "OP_SPECS", "OpSpec"]

NUMBERS = (
    *("float32", "float64", "int32", "uint8", "int16", "int8", "complex64", "int64", "qint8", "quint8", "qint32"),
    *("bfloat16", "qint16", "quint16", "uint16", "complex128", "float16", "uint32", "uint64"),
)
"""The dtypes that the kind "number" allows, in TensorFlow's order."""


@dataclass(frozen=True, slots=True)
class OpSpec:
    """One op, in short."""

    name: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    attrs: tuple[str, ...] = ()
    is_stateful: bool = False
    is_commutative: bool = False
    is_aggregate: bool = False
    allows_uninitialized_input: bool = False


_INDEX = "{int32, int64} = int32"
_FILE = ("filename: string", "tensor_names: string")
_PATTERN = ("file_pattern: string", "tensor_name: string")
_BUNDLE = ("prefix: string", "tensor_names: string", "shape_and_slices: string")
_PLACE = ("container: string = ''", "shared_name: string = ''")

_FRACTIONS = "bfloat16, float16, float32, float64"
_FACTOR = f"T: {{{_FRACTIONS}, uint8, int8, uint16, int16, int32, uint32, uint64, int64, complex64, complex128}}"
_SPECS = (
    # Values.
    OpSpec("Const", (), ("output: dtype",), ("value: tensor", "dtype: type")),
    OpSpec("Placeholder", (), ("output: dtype",), ("dtype: type", "shape: shape = ?")),
    OpSpec("PlaceholderWithDefault", ("input: dtype",), ("output: dtype",), ("dtype: type", "shape: shape")),
    OpSpec("Identity", ("input: T",), ("output: T",), ("T: type",)),
    OpSpec("NoOp"),
    OpSpec("Pack", ("values: N * T",), ("output: T",), ("N: int >= 1", "T: type", "axis: int = 0")),
    OpSpec(
        *("ConcatV2", ("values: N * T", "axis: Tidx"), ("output: T",)),
        ("N: int >= 2", "T: type", f"Tidx: {_INDEX}"),
    ),
    OpSpec("Reshape", ("tensor: T", "shape: Tshape"), ("output: T",), ("T: type", f"Tshape: {_INDEX}")),
    OpSpec("Shape", ("input: T",), ("output: out_type",), ("T: type", f"out_type: {_INDEX}")),
    OpSpec("Select", ("condition: bool", "t: T", "e: T"), ("output: T",), ("T: type",)),
    OpSpec("StaticRegexFullMatch", ("input: string",), ("output: bool",), ("pattern: string",)),
    OpSpec("StringJoin", ("inputs: N * string",), ("output: string",), ("N: int >= 0", "separator: string = ''")),
    # Sums.
    OpSpec(
        *("AddV2", ("x: T", "y: T"), ("z: T",)),
        (f"T: {{{_FRACTIONS}, uint8, uint16, uint32, uint64, int8, int16, int32, int64, complex64, complex128}}",),
        is_commutative=True,
        is_aggregate=True,
    ),
    OpSpec(
        *("Sub", ("x: T", "y: T"), ("z: T",)),
        (f"T: {{{_FRACTIONS}, uint8, int8, uint16, int16, int32, int64, complex64, complex128, uint32, uint64}}",),
    ),
    OpSpec("Mul", ("x: T", "y: T"), ("z: T",), (_FACTOR,), is_commutative=True),
    OpSpec("RealDiv", ("x: T", "y: T"), ("z: T",), (_FACTOR,)),
    OpSpec(*("Neg", ("x: T",), ("y: T",)), (f"T: {{{_FRACTIONS}, int8, int16, int32, int64, complex64, complex128}}",)),
    # Variables by reference.
    OpSpec("Variable", (), ("ref: Ref(dtype)",), ("shape: shape", "dtype: type", *_PLACE), is_stateful=True),
    OpSpec("VariableV2", (), ("ref: Ref(dtype)",), ("shape: shape", "dtype: type", *_PLACE), is_stateful=True),
    OpSpec(
        *("IsVariableInitialized", ("ref: Ref(dtype)",), ("is_initialized: bool",), ("dtype: type",)),
        allows_uninitialized_input=True,
    ),
    OpSpec(
        *("Assign", ("ref: Ref(T)", "value: T"), ("output_ref: Ref(T)",)),
        ("T: type", "validate_shape: bool = true", "use_locking: bool = true"),
        allows_uninitialized_input=True,
    ),
    *(
        OpSpec(
            *(name, ("ref: Ref(T)", "value: T"), ("output_ref: Ref(T)",)),
            ("T: number", "use_locking: bool = false"),
        )
        for name in ("AssignAdd", "AssignSub")
    ),
    # Variables by handle.
    OpSpec(
        *("VarHandleOp", (), ("resource: resource",)),
        (*_PLACE, "debug_name: string = ''", "dtype: type", "shape: shape", "allowed_devices: list(string) = []"),
        is_stateful=True,
    ),
    OpSpec("VarIsInitializedOp", ("resource: resource",), ("is_initialized: bool",), is_stateful=True),
    OpSpec("DisableCopyOnRead", ("resource: resource",), is_stateful=True),
    OpSpec("ReadVariableOp", ("resource: resource",), ("value: dtype",), ("dtype: type",), is_stateful=True),
    OpSpec(
        *("AssignVariableOp", ("resource: resource", "value: dtype"), ()),
        ("dtype: type", "validate_shape: bool = false"),
        is_stateful=True,
    ),
    *(
        OpSpec(name, ("resource: resource", "value: dtype"), (), ("dtype: type",), is_stateful=True)
        for name in ("AssignAddVariableOp", "AssignSubVariableOp")
    ),
    # Checkpoints of version 2.
    OpSpec("SaveV2", (*_BUNDLE, "tensors: dtypes"), (), ("dtypes: list(type) >= 1",), is_stateful=True),
    OpSpec("RestoreV2", _BUNDLE, ("tensors: dtypes",), ("dtypes: list(type) >= 1",), is_stateful=True),
    OpSpec(
        *("MergeV2Checkpoints", ("checkpoint_prefixes: string", "destination_prefix: string"), ()),
        ("delete_old_dirs: bool = true", "allow_missing_files: bool = false"),
        is_stateful=True,
    ),
    OpSpec("ShardedFilename", ("basename: string", "shard: int32", "num_shards: int32"), ("filename: string",)),
    OpSpec("ShardedFilespec", ("basename: string", "num_shards: int32"), ("filename: string",)),
    # Checkpoints of version 1.
    OpSpec("Save", (*_FILE, "data: T"), (), ("T: list(type) >= 1",), is_stateful=True),
    OpSpec(
        "SaveSlices", (*_FILE, "shapes_and_slices: string", "data: T"), (), ("T: list(type) >= 1",), is_stateful=True
    ),
    OpSpec("Restore", _PATTERN, ("tensor: dt",), ("dt: type", "preferred_shard: int = -1"), is_stateful=True),
    OpSpec(
        *("RestoreSlice", (*_PATTERN, "shape_and_slice: string"), ("tensor: dt",)),
        ("dt: type", "preferred_shard: int = -1"),
        is_stateful=True,
    ),
)

OP_SPECS = {spec.name: spec for spec in _SPECS}
"""By the name of the op."""
