"""Makes the golden `.meta` files with real TensorFlow: `python -m tests.golden.make_meta_golden`.

They were made by TensorFlow 2.21.0, from the repository's root. Make them anew only to add cases: files that TensorFlow
wrote must stay readable.
"""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import tensorflow as tf

from tests.golden.meta_cases import CASES, FOLDER, STEP, make


def main() -> None:
    tf.compat.v1.disable_resource_variables()
    FOLDER.mkdir(exist_ok=True)
    for case in CASES:
        save(case)


def save(case: str) -> None:
    """Keep the `.meta` file that a saver writes beside a checkpoint."""
    config = tf.compat.v1.ConfigProto(device_count={"CPU": 2})
    with tf.compat.v1.Graph().as_default(), tf.compat.v1.Session(config=config) as session:
        saver, initializer = make(tf.compat.v1, case)
        session.run(initializer)
        with tempfile.TemporaryDirectory() as folder:
            saver.save(session, f"{folder}/{case}", global_step=STEP)
            meta = Path(folder, f"{case}-{STEP}.meta").read_bytes()
    (FOLDER / f"{case}.meta.gz").write_bytes(gzip.compress(meta, mtime=0))


if __name__ == "__main__":
    main()
