"""The WebSocket mode of /v1/responses: create bodies as messages, events as messages, one response at a time."""
