"""A policy applied to one call. Knows calls and replies; holds no socket."""
