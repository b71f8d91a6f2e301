"""What may take its time and must not be lost, run by arq: the call's record and its recording."""
