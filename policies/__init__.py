"""Decisions: plain data in, plain data out. No await, no clock, no environment."""
