"""Objects of other frameworks in the object graph, a file a framework; what the program has imported is recognised."""
