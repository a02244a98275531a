"""Any other filesystem that fsspec knows."""
