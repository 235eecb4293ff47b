"""Warehouses: tables behind SQL: in DuckDB, in folders and buckets, in BigQuery."""

from __future__ import annotations

from loopline.warehouses.base import Answer, Warehouse
from loopline.warehouses.open import warehouse

__all__ = ["Answer", "Warehouse", "warehouse"]
