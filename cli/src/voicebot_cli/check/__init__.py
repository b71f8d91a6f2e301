"""`ringover-voicebot check`: is everything there that a call needs, and if not, what is to be done?"""
