"""Whole programs as people wrote them around a saver for TensorFlow 1."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.programs.comparison import over_both
from tests.programs.observations import Raised, files, outcome, state

if TYPE_CHECKING:
    from pathlib import Path


@over_both()
def test_a_softmax_that_is_trained_saved_and_resumed(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    """The numbers that are drawn at random are each side's own: what is compared is what comes of training."""

    def train(tf: Any, logdir: str) -> list[Any]:
        tf.reset_default_graph()
        tf.set_random_seed(1234)
        with tf.Graph().as_default():
            x = tf.placeholder(tf.float32, [784, 10], name="x")
            with tf.name_scope("softmax"):
                w = tf.Variable(tf.zeros([784, 10]), name="W")
                b = tf.Variable(tf.constant(0.1, shape=[10]), name="b")
            h = tf.Variable(tf.truncated_normal([10, 4], stddev=0.1), name="h")
            o = tf.Variable(tf.ones([2, 2], dtype=tf.float64), trainable=False)
            f = tf.Variable(tf.fill([2], 7), name="f")
            global_step = tf.Variable(0, name="global_step", trainable=False)
            rate = tf.Variable(8.0, name="rate", trainable=False)
            train_op = tf.group(w.assign(x), tf.assign(global_step, global_step + 1), rate.assign(rate * 0.5))
            saver = tf.train.Saver(tf.global_variables(), max_to_keep=3, keep_checkpoint_every_n_hours=2)
            config = tf.ConfigProto(allow_soft_placement=True)
            config.gpu_options.allow_growth = True
            with tf.Session(config=config) as sess:
                sess.run(tf.global_variables_initializer())
                ckpt = tf.train.get_checkpoint_state(logdir)
                if ckpt and ckpt.model_checkpoint_path:
                    saver.restore(sess, ckpt.model_checkpoint_path)
                for i in range(5):
                    sess.run(train_op, feed_dict={x: np.full([784, 10], i, np.float32)})
                    saver.save(sess, os.path.join(logdir, "model.ckpt"), global_step=global_step)
                    clock.pass_hours(1)
                return [
                    [sess.run(v).tolist() for v in (b, o, f, global_step, rate)],
                    [w.eval()[0, 0], h.eval().shape, bool(abs(h.eval()).max() <= 0.2)],
                    tf.train.global_step(sess, global_step),
                    [v.name for v in tf.trainable_variables() if v not in (w, h)],
                    [v.get_shape().as_list() for v in tf.global_variables()],
                    sum(v.shape.num_elements() for v in tf.trainable_variables()),
                ]

    logdir = str(directory)
    first, second = train(tf, logdir), train(later, logdir)
    return {"first": first, "second": second, "files": files(logdir), "state": state(logdir)}


@over_both()
def test_a_warm_start_under_other_names(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    def pretrain(tf: Any) -> str:
        with tf.Graph().as_default(), tf.Session() as sess:
            with tf.variable_scope("old/encoder"):
                tf.get_variable("kernel", initializer=np.arange(6, dtype=np.float32).reshape(2, 3))
                tf.get_variable("bias", [3], initializer=tf.initializers.constant(0.5), regularizer=None)
            step = tf.train.get_or_create_global_step()
            sess.run(tf.initialize_all_variables())
            return tf.train.Saver().save(sess, f"{directory}/model.ckpt", global_step=step, write_meta_graph=False)

    def finetune(tf: Any, path: str) -> list[Any]:
        with tf.Graph().as_default():
            with tf.variable_scope("new/enc", reuse=tf.AUTO_REUSE):
                kernel = tf.get_variable("kernel", shape=[2, 3], initializer=tf.glorot_uniform_initializer())
                bias = tf.get_variable("bias", shape=[3], initializer=tf.zeros_initializer)
            head = tf.get_variable("head/w", [3, 2], initializer=tf.initializers.ones())
            names = [name for name, _ in tf.train.list_variables(path)]
            in_scope = tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, scope="new/enc")
            restored = {v.op.name.replace("new/enc", "old/encoder"): v for v in in_scope}
            saver = tf.train.Saver({name: v for name, v in restored.items() if name in names})
            parts = tf.train.Saver([v for v in tf.trainable_variables() if v not in (head, bias)])
            with tf.Session() as sess:
                sess.run(tf.global_variables_initializer())
                saver.restore(sess, path)
                try:
                    parts.restore(sess, path)
                except tf.errors.NotFoundError:
                    names.append("not found")
                values = [value.tolist() for value in sess.run([kernel, bias, head])]
                return [names, values, parts.save(sess, f"{directory}/part.ckpt")]

    path = pretrain(tf)
    return {"path": path, "tuned": finetune(later, path), "files": files(directory)}


@over_both()
def test_a_supervised_loop_over_parameter_servers(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    def train(tf: Any, steps: int) -> list[Any]:
        with tf.Graph().as_default() as graph:
            with tf.device("/cpu:0"):
                step = tf.train.get_or_create_global_step()
                with tf.variable_scope("inputs", partitioner=tf.fixed_size_partitioner(2)):
                    embeddings = tf.get_variable("embeddings", [5, 2], initializer=tf.ones_initializer())
            with tf.device("/cpu:1"):
                w = tf.get_variable("w", initializer=np.zeros(4, np.float32))
            seen = tf.get_variable("seen", [], initializer=tf.zeros_initializer(), collections=["local_variables"])
            with tf.control_dependencies([w.assign_add(np.ones(4, np.float32))]):
                train_op = tf.assign_add(step, 1)
            ready = tf.report_uninitialized_variables()
            init = tf.group(
                tf.global_variables_initializer(), tf.local_variables_initializer(), tf.tables_initializer()
            )
            whole = tf.convert_to_tensor(embeddings)
            saver = tf.train.Saver(sharded=True, pad_step_number=True, save_relative_paths=True)
            graph.finalize()
        with tf.Session(graph=graph, config=tf.ConfigProto(device_count={"CPU": 2})) as sess:
            found = tf.train.get_checkpoint_state(str(directory))
            if found and found.model_checkpoint_path:
                saver.restore(sess, found.model_checkpoint_path)
                saver.recover_last_checkpoints(found.all_model_checkpoint_paths)
                missing = sorted(sess.run(ready).tolist())
                sess.run(seen.initializer)
            else:
                missing = sorted(sess.run(ready).tolist())
                sess.run(init)
            for _ in range(steps):
                now = sess.run(train_op)
                if now % 2 == 0:
                    saver.save(sess, str(directory / "model.ckpt"), global_step=now)
            values = {name: value.tolist() for name, value in sess.run({"w": w, "whole": whole, "step": step}).items()}
            return [missing, values, saver.last_checkpoints]

    first, second = train(tf, 7), train(later, 7)
    return {"first": first, "second": second, "files": files(directory), "state": state(directory)}


@over_both()
def test_the_guides_own_example(tf: Any, later: Any, directory: Path, clock: Any) -> Any:
    """Of TensorFlow's guide to saving and restoring, in an interactive session."""
    with tf.Graph().as_default():
        sess = tf.InteractiveSession()
        v1 = tf.get_variable("v1", shape=[3], initializer=tf.zeros_initializer)
        v2 = tf.get_variable("v2", shape=[5], initializer=tf.zeros_initializer)
        inc_v1 = v1.assign(v1 + 1)
        dec_v2 = v2.assign(v2 - 1)
        saver = tf.train.Saver()
        nodes = [
            [node.name, node.op, list(node.input), node.attr["T"].type]
            for node in saver.export_meta_graph().graph_def.node
            if node.name.startswith(("add", "sub"))
        ]
        tf.global_variables_initializer().run()
        inc_v1.op.run()
        inc_v1.eval()
        dec_v2.op.run()
        path = saver.save(sess, str(directory / "model.ckpt"))
        sess.close()
    later.reset_default_graph()
    with later.Graph().as_default(), later.Session() as sess:
        saver = later.train.import_meta_graph(path + ".meta")
        saver.restore(sess, path)
        back = [sess.run(f"{name}:0").tolist() for name in ("v1", "v2")]
        again = [sess.run(later.get_default_graph().get_tensor_by_name(name)).tolist() for name in ("add:0", "sub:0")]
    return {"nodes": nodes, "back": back, "computed": again}


@over_both()
def test_errors_by_tensorflows_names(tf: Any, directory: Path, clock: Any) -> Any:
    with tf.Graph().as_default(), tf.Session() as sess:
        w = tf.Variable([1.0, 2.0], name="w")
        saver = tf.train.Saver()
        caught = {}

        def kind(call: Any) -> str:
            raised = outcome(call)
            assert isinstance(raised, Raised)
            names = ["FailedPreconditionError", "NotFoundError", "DataLossError", "OpError"]
            return next(name for name in names if issubclass(raised.error, getattr(tf.errors, name)))

        caught["uninitialized"] = kind(lambda: sess.run(w))
        sess.run(w.initializer)
        path = saver.save(sess, str(directory / "model"))
        caught["tensor"] = kind(lambda: tf.train.Saver({"other": w}).restore(sess, path))
        data = directory / "model.data-00000-of-00001"
        data.write_bytes(bytes(len(data.read_bytes())))
        caught["damage"] = kind(lambda: saver.restore(sess, path))
    return {"caught": caught}
