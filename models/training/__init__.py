"""Training scripts: `python -m models.training.NAME --data DIR`. Nothing outside this package imports it."""
