"""What programs that use TensorFlow's saver take from `tensorflow.compat.v1`: they move by changing that import."""

from cloudckpt import train
from cloudckpt.compat import errors, initializers
from cloudckpt.variables.assign import assign, assign_add, assign_sub
from cloudckpt.variables.convert_to_tensor import convert_to_tensor
from cloudckpt.variables.dtype import DType
from cloudckpt.variables.dtype_constants import (
    as_dtype,
    bfloat16,
    bool,  # noqa: A004 - as TensorFlow has it
    complex64,
    complex128,
    double,
    float16,
    float32,
    float64,
    half,
    int8,
    int16,
    int32,
    int64,
    qint8,
    qint16,
    qint32,
    quint8,
    quint16,
    resource,
    string,
    uint8,
    uint16,
    uint32,
    uint64,
    variant,
)
from cloudckpt.variables.graphs.default_graph import (
    disable_eager_execution,
    disable_resource_variables,
    enable_eager_execution,
    enable_resource_variables,
    executing_eagerly,
    get_default_graph,
    reset_default_graph,
)
from cloudckpt.variables.graphs.default_graph import disable_eager_execution as disable_v2_behavior
from cloudckpt.variables.graphs.default_graph import enable_eager_execution as enable_v2_behavior
from cloudckpt.variables.graphs.default_scopes import (
    add_to_collection,
    add_to_collections,
    control_dependencies,
    device,
    get_collection,
    get_collection_ref,
    name_scope,
)
from cloudckpt.variables.graphs.device import DeviceSpec
from cloudckpt.variables.graphs.graph import Graph
from cloudckpt.variables.graphs.keys import GraphKeys
from cloudckpt.variables.graphs.nodes import constant, group, no_op, placeholder
from cloudckpt.variables.graphs.operation import Operation, Tensor
from cloudckpt.variables.partitions.partitioned import PartitionedVariable
from cloudckpt.variables.partitions.partitioners import (
    fixed_size_partitioner,
    min_max_variable_partitioner,
    variable_axis_size_partitioner,
)
from cloudckpt.variables.scopes.get_variable import create_partitioned_variables, get_local_variable, get_variable
from cloudckpt.variables.scopes.initial_tensors import (
    fill,
    ones,
    random_normal,
    random_uniform,
    set_random_seed,
    truncated_normal,
    zeros,
)
from cloudckpt.variables.scopes.random_initializers import (
    glorot_normal_initializer,
    glorot_uniform_initializer,
    random_normal_initializer,
    random_uniform_initializer,
    truncated_normal_initializer,
)
from cloudckpt.variables.scopes.request import AUTO_REUSE
from cloudckpt.variables.scopes.value_initializers import constant_initializer, ones_initializer, zeros_initializer
from cloudckpt.variables.scopes.variable_scope import VariableScope, get_variable_scope, variable_scope
from cloudckpt.variables.sessions.config import ConfigProto, GPUOptions
from cloudckpt.variables.sessions.default_session import get_default_session
from cloudckpt.variables.sessions.session import InteractiveSession, Session
from cloudckpt.variables.variable import Variable
from cloudckpt.variables.variable_lists import (
    global_variables,
    global_variables_initializer,
    is_variable_initialized,
    local_variables,
    local_variables_initializer,
    model_variables,
    moving_average_variables,
    report_uninitialized_variables,
    tables_initializer,
    trainable_variables,
    variables_initializer,
)
from cloudckpt.variables.variable_lists import global_variables as all_variables
from cloudckpt.variables.variable_lists import global_variables_initializer as initialize_all_variables
from cloudckpt.variables.variable_lists import local_variables_initializer as initialize_local_variables
from cloudckpt.variables.variable_lists import variables_initializer as initialize_variables

__all__ = [
    "AUTO_REUSE",
    "ConfigProto",
    "DType",
    "DeviceSpec",
    "GPUOptions",
    "Graph",
    "GraphKeys",
    "InteractiveSession",
    "Operation",
    "PartitionedVariable",
    "Session",
    "Tensor",
    "Variable",
    "VariableScope",
    "add_to_collection",
    "add_to_collections",
    "all_variables",
    "as_dtype",
    "assign",
    "assign_add",
    "assign_sub",
    "bfloat16",
    "bool",
    "complex64",
    "complex128",
    "constant",
    "constant_initializer",
    "control_dependencies",
    "convert_to_tensor",
    "create_partitioned_variables",
    "device",
    "disable_eager_execution",
    "disable_resource_variables",
    "disable_v2_behavior",
    "double",
    "enable_eager_execution",
    "enable_resource_variables",
    "enable_v2_behavior",
    "errors",
    "executing_eagerly",
    "fill",
    "fixed_size_partitioner",
    "float16",
    "float32",
    "float64",
    "get_collection",
    "get_collection_ref",
    "get_default_graph",
    "get_default_session",
    "get_local_variable",
    "get_variable",
    "get_variable_scope",
    "global_variables",
    "global_variables_initializer",
    "glorot_normal_initializer",
    "glorot_uniform_initializer",
    "group",
    "half",
    "initialize_all_variables",
    "initialize_local_variables",
    "initialize_variables",
    "initializers",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_variable_initialized",
    "local_variables",
    "local_variables_initializer",
    "min_max_variable_partitioner",
    "model_variables",
    "moving_average_variables",
    "name_scope",
    "no_op",
    "ones",
    "ones_initializer",
    "placeholder",
    "qint8",
    "qint16",
    "qint32",
    "quint8",
    "quint16",
    "random_normal",
    "random_normal_initializer",
    "random_uniform",
    "random_uniform_initializer",
    "report_uninitialized_variables",
    "reset_default_graph",
    "resource",
    "set_random_seed",
    "string",
    "tables_initializer",
    "train",
    "trainable_variables",
    "truncated_normal",
    "truncated_normal_initializer",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "variable_axis_size_partitioner",
    "variable_scope",
    "variables_initializer",
    "variant",
    "zeros",
    "zeros_initializer",
]
