"""The whole system on one machine, as real processes: for the demo, for development, for the tests."""
