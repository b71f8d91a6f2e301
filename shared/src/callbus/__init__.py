"""What the services share: the messages on the bus, the Redis keys, audio primitives, settings and telemetry."""
