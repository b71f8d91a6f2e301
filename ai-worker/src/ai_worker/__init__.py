"""The conversation: claims calls, listens, thinks, speaks; any worker can take any call."""
