"""What `make bench` measures: the whole system as processes, a simulated caller, local servers as the providers."""
