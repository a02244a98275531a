"""Sessions: values of a graph's variables, and running what initializes, assigns and reads them."""
