"""Registering flows: how code gets into the store, and back in a worker's process."""
