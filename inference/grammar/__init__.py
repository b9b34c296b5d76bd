"""Formal languages for answers, compiled with llguidance, which nobody else imports. Knows tokens, not requests."""
