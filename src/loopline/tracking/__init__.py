"""Tracking: experiments and runs, as a user logs and finds them."""
