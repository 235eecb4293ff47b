"""Blobs: immutable bytes, found by the SHA-256 of their content."""
