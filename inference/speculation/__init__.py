"""Drafts of the next tokens, from the text so far. It knows neither scheduling nor the model."""
