"""Bearers: fetched by databricks-sdk in a helper process, kept fresh here, served from memory."""
