"""What the service and the facade share: settings and logging. Knows neither of them, nor the model."""
