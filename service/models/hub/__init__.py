"""Models on the Hugging Face Hub: which files are meant, and how they get into the hub's own cache."""
