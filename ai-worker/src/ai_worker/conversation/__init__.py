"""The conversation as a Sans-I/O state machine: events and the time in, actions out; no Redis, provider or sleep."""
