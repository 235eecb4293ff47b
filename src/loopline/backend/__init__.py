"""Backends: one protocol, straight to the store or through a server."""
