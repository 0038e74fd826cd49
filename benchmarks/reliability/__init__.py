"""Attacks and outages against real processes on this machine: one module a scenario, each with claims that may fail."""
