"""Kill a training script in the middle of its saves, start it again each time, and compare it with an undisturbed run.

python examples/killed.py tf1_training.py
python examples/killed.py eager_training.py
"""

from __future__ import annotations

import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec
from demo import same_bits
from job import Job
from s3_server import S3Server, s3_server
from tripwire import Moment, Tripwire

import cloudckpt as ckpt

MOMENTS = {
    "half of the data of step 40 sent": Moment(r"^PUT .*/model-40\.data-", share=0.5),
    "the index of step 80 sent, the state file not": Moment(r"^PUT .*/checkpoint\b", after=r"/model-80\.index"),
}


def main(script: str) -> int:
    """Run the script both ways; 0 if both end with the same bits."""
    with tempfile.TemporaryDirectory(prefix="cloudckpt-killed-") as folder, s3_server(Path(folder)) as server:
        bucket, name = fsspec.filesystem("s3", **server.storage_options), f"killed-{uuid.uuid4().hex[:8]}"
        print(f"S3 server: {server.name}")
        bucket.mkdir(name)
        try:
            same = run(script, server, f"s3://{name}")
        finally:
            bucket.rm(name, recursive=True)
    print("the final states are", "the same to the last bit" if same else "DIFFERENT")
    return 0 if same else 1


def run(script: str, server: S3Server, root: str) -> bool:
    """Train undisturbed and killed; whether both end alike."""
    undisturbed = Job(f"{root}/undisturbed", server.environment(), script).finished()["finished"]
    address = urlsplit(server.endpoint_url)
    with Tripwire(str(address.hostname), address.port or 80) as wire:
        for words, moment in MOMENTS.items():
            job = Job(f"{root}/killed", server.environment(wire.url), script)
            wire.arm(moment, job.kill)
            print(f"started at step {job.killed()['started']['step']}, killed with {words}")
        last = Job(f"{root}/killed", server.environment(wire.url), script).finished()
    print(f"started at step {last['started']['step']}, finished at step {last['finished']['step']}")
    print(f"accuracy: {undisturbed['accuracy']:.1%} undisturbed, {last['finished']['accuracy']:.1%} killed")
    return same_bits(final(f"{root}/undisturbed", server), final(f"{root}/killed", server))


def final(directory: str, server: S3Server) -> dict[str, Any]:
    """Every tensor of the latest checkpoint."""
    prefix = ckpt.latest_checkpoint(directory, storage_options=server.storage_options)
    assert prefix is not None, f"{directory} holds no checkpoint"
    with ckpt.open_checkpoint(prefix, storage_options=server.storage_options) as checkpoint:
        return {name: checkpoint[name][...] for name in checkpoint}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
