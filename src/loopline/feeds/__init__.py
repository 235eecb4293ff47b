"""Feeds: data that grow, and which of their rows a model has not seen yet."""

from __future__ import annotations

from loopline.feeds.feed import Feed
from loopline.feeds.rows import FeedRows

__all__ = ["Feed", "FeedRows"]
