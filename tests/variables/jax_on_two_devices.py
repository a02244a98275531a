"""A program that the tests run apart, as JAX is told of its devices at its start: arrays on the second and on both."""

import os
import sys

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cloudckpt.variables.holder import as_holder, like

VALUE = np.arange(8, dtype=np.float32).reshape(4, 2)
PLACES = [jax.devices()[1], NamedSharding(Mesh(np.array(jax.devices()), ("x",)), PartitionSpec("x"))]

for place in PLACES:
    existing = jax.device_put(VALUE, place)
    np.testing.assert_array_equal(as_holder(existing).read(), VALUE)
    restored = like(existing, -VALUE)
    assert restored.sharding == existing.sharding, (restored.sharding, existing.sharding)
    np.testing.assert_array_equal(restored, -VALUE)
    sys.stdout.write(f"{as_holder(existing).device or 'no device'} {len(restored.sharding.device_set)}\n")
