"""What every process shares: settings, clock, errors, logging, the child's half of supervision. Knows no market."""
