"""The HTTP process: maps HTTP, JSON and SSE onto the gRPC calls of the service. It holds nothing and knows no model."""

VERSION = "0.1.0"
