"""What the tests with faults look at."""
