"""The command `ringover-voicebot`, for the people who run the bots and for those who write them."""
