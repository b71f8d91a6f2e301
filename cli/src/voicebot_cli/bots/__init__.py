"""`ringover-voicebot test-agents`: scripted calls with expectations, for the authors of bots."""
