"""Makes the virtual environment, and starts and stops the service and the facade as two processes.

Knows nothing of models, gRPC or HTTP. `launcher.install` runs before any package is installed.
"""
