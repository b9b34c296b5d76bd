"""What the service and the facade share: settings, logging and guarded output. Knows neither of them, nor the model."""
