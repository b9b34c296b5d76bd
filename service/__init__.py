"""The gRPC process: validates requests, loads their history, runs their lifecycle and keeps their responses.

It knows the contract and inference, and nothing of HTTP.
"""
