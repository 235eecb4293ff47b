"""Taxi fares: predict what a ride will cost, month after month, with Loopline."""
