"""Gateway API's own kinds, alike for every gateway: Gateway, HTTPRoute, ReferenceGrant, BackendTLSPolicy."""
