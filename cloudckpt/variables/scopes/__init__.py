"""Variables by name: variable scopes, `get_variable`, and the initializers that it takes."""
