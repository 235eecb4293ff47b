"""Prefect 1's helpers."""
