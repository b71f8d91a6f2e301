"""The fault table: what must hold when parts of the system fail, with real processes."""
