"""The models that are served: where they come from, how they are loaded, and what a loaded one can do."""
