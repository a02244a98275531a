"""The arrays and variables of others, a file a framework. None is imported: what is in `sys.modules` is recognised."""
