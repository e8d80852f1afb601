"""Pages about runs: read from records, never from models."""
