"""The streamer: owns every call's media WebSocket."""
