"""Istio's own kinds: the EnvoyFilter that puts the router into its gateway, DestinationRules, ServiceEntries."""
