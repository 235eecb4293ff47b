"""What knows about trips, fares and models."""
