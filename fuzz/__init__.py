"""Coverage-guided fuzzing of everything that reads bytes which anyone may have written: `make fuzz`."""
