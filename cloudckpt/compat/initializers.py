"""What `tensorflow.compat.v1.initializers` has of what `get_variable` takes, and of what initializes variables."""

from cloudckpt.variables.scopes.random_initializers import glorot_normal_initializer as glorot_normal
from cloudckpt.variables.scopes.random_initializers import glorot_uniform_initializer as glorot_uniform
from cloudckpt.variables.scopes.random_initializers import random_normal_initializer as random_normal
from cloudckpt.variables.scopes.random_initializers import random_uniform_initializer as random_uniform
from cloudckpt.variables.scopes.random_initializers import truncated_normal_initializer as truncated_normal
from cloudckpt.variables.scopes.value_initializers import constant_initializer as constant
from cloudckpt.variables.scopes.value_initializers import ones_initializer as ones
from cloudckpt.variables.scopes.value_initializers import zeros_initializer as zeros
from cloudckpt.variables.variable_lists import global_variables_initializer as global_variables
from cloudckpt.variables.variable_lists import local_variables_initializer as local_variables
from cloudckpt.variables.variable_lists import tables_initializer
from cloudckpt.variables.variable_lists import variables_initializer as variables

__all__ = [
    "constant",
    "global_variables",
    "glorot_normal",
    "glorot_uniform",
    "local_variables",
    "ones",
    "random_normal",
    "random_uniform",
    "tables_initializer",
    "truncated_normal",
    "variables",
    "zeros",
]
