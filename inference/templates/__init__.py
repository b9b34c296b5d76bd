"""Where chat templates run: a Jinja sandbox whose time and memory are bounded. It knows no messages and no tokens."""
