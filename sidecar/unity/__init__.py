"""Agents that stand in Unity Catalog: looked for, and judged, with the caller's own token."""

from sidecar.unity.catalog import Catalog, Found

__all__ = ["Catalog", "Found"]
