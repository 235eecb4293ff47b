"""Writing flows: how tasks become a graph, and what one may ask of it."""
