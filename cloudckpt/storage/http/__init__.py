"""The one way to a bucket's server: HTTP/1.1 out of the caller's memory, and straight into it."""
