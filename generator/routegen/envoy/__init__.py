"""The Envoy on this machine: where it is, and whether it accepts a configuration."""
