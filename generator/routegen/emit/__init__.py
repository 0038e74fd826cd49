"""One module for each kind of document; targets put them together.

The folders say whose documents they are: :mod:`~routegen.emit.gateway_api` and :mod:`~routegen.emit.kubernetes` serve
every target on Kubernetes, :mod:`~routegen.emit.envoy_gateway` and :mod:`~routegen.emit.envoy` one target each. What
stands here is the same for all.
"""
