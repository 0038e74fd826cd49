"""Envoy's configuration, built from Envoy's own message types so that a wrong field name fails at once.

Only this package imports envoy-data-plane, whose names change with Envoy's minor version. One module for each part
of the configuration; :mod:`routegen.emit.envoy.bootstrap` puts them together and hands out plain data.
"""
