"""Speech-to-text, language models and text-to-speech behind small typed seams; one provider, one file."""
