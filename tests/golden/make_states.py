"""Makes the golden state files with real TensorFlow: `python -m tests.golden.make_states`, from the repository's root.

They were made by TensorFlow 2.21.0. Make them anew only to add cases: files that TensorFlow wrote must stay readable.
"""

from __future__ import annotations

import tensorflow as tf

from tests.golden.states import FOLDER, PATHS, TIMES


def main() -> None:
    for name, paths in PATHS.items():
        times, last_preserved = TIMES.get(name, (None, None))
        tf.compat.v1.train.update_checkpoint_state(
            str(FOLDER),
            paths[-1],
            list(paths),
            latest_filename=name,
            all_model_checkpoint_timestamps=times,
            last_preserved_timestamp=last_preserved,
        )


if __name__ == "__main__":
    main()
