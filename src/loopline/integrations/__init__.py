"""Integrations: what training libraries do, logged without a line in the training itself.

Each library is hooked into when it is imported, not before, and by its own callbacks where it
has them. ``docs/decisions`` says which run a fit is logged to.
"""
