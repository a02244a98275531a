"""What is seen of a manager's work: reports, bars, traces."""
