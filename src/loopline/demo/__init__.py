"""The demo: a model's whole life on taxi fares, and where its months of trips come from."""

from __future__ import annotations

from loopline.demo.data_source import TAXI_MONTHS, Months, TaxiData, find_taxi_data

__all__ = ["TAXI_MONTHS", "Months", "TaxiData", "find_taxi_data"]
