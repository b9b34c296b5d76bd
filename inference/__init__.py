"""Tokens in, tokens out: everything between a prompt of token ids and streamed text.

It knows no gRPC, protobuf, HTTP or SQL; its parts are imported by their modules.
"""
