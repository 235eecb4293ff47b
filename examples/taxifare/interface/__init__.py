"""What a flow or a notebook calls: ``preprocess``, ``train``, ``evaluate`` and ``pred``."""
