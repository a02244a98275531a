"""Compiles protos/ into cloudckpt/descriptors.binpb whenever a wheel is built, an editable one too.

Without a build, in a source tree: `python hatch_build.py` (needs hatchling and grpcio-tools).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def compile_protos(root: Path) -> Path:
    """Make one FileDescriptorSet of all the .proto files under `root`, and return where it is."""
    target = root / "cloudckpt" / "descriptors.binpb"
    sources = sorted(path.name for path in (root / "protos").glob("*.proto"))
    # Any and the wrappers of plain values come with protoc.
    paths = [root / "protos", Path(protoc.__file__).with_name("_proto")]
    options = [*(f"--proto_path={path}" for path in paths), "--include_imports", f"--descriptor_set_out={target}"]
    if status := protoc.main(["protoc", *options, *sources]):
        raise RuntimeError(f"protoc exited with {status} on {', '.join(sources)}")
    return target


class DescriptorBuildHook(BuildHookInterface[Any]):
    """Called by hatchling before it collects the files of the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (hatchling's signature)
        """Compile; a source archive carries the .proto files instead."""
        if self.target_name == "wheel":
            compile_protos(Path(self.root))


if __name__ == "__main__":
    compile_protos(Path(__file__).resolve().parent)
