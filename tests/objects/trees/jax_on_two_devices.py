"""A program that the tests run apart, as JAX is told of its devices at its start: a tree of arrays on two devices."""

import os
import sys

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import cloudckpt as ckpt

mesh = Mesh(np.array(jax.devices()), ("x",))
shardings = {
    "second": jax.sharding.SingleDeviceSharding(jax.devices()[1]),
    "split": NamedSharding(mesh, PartitionSpec("x")),
    "replicated": NamedSharding(mesh, PartitionSpec()),
}
tree = {name: jax.device_put(np.arange(8.0).reshape(4, 2), sharding) for name, sharding in shardings.items()}
tree["keys"] = jax.device_put(jax.random.split(jax.random.key(1), 4), shardings["split"])
prefix = ckpt.save(sys.argv[1], tree)


def check(restored, kind):
    for name, array in tree.items():
        assert restored[name].sharding == array.sharding, (kind, name, restored[name].sharding)
        assert restored[name].dtype == array.dtype, (kind, name)
    for name in shardings:
        np.testing.assert_array_equal(restored[name], tree[name])
    np.testing.assert_array_equal(jax.random.key_data(restored["keys"]), jax.random.key_data(tree["keys"]))


zeros = {name: jax.device_put(jnp.zeros((4, 2)), sharding) for name, sharding in shardings.items()}
check(ckpt.load(prefix, like=zeros | {"keys": tree["keys"]}), "arrays")
structs = {
    name: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=array.sharding) for name, array in tree.items()
}
check(ckpt.load(prefix, like=structs), "structs")
other = {name: jax.ShapeDtypeStruct((4, 2), np.float32, sharding=shardings["split"]) for name in shardings}
for name, array in ckpt.load(prefix, like=other, only=list(shardings), cast=True).items():
    assert array.sharding == shardings["split"], name
sys.stdout.write("all on their devices\n")
