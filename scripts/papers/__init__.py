"""What generates the reference papers in docs/ from the code."""
