"""Graphs as TensorFlow writes them: GraphDef, MetaGraphDef and SaverDef, to and from bytes and text."""
