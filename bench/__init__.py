"""The benchmark: the product as its clients see it, beside llama.cpp's engine and its own without a network.

This file imports nothing: the peers in other virtual environments load it, too.
"""
