"""Which endpoint of a pool a request goes to: the one that its picker named."""

from __future__ import annotations

from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.clusters.common.dns import v3 as common_dns
from envoy_data_plane.envoy.extensions.clusters.dns import v3 as dns
from envoy_data_plane.envoy.extensions.load_balancing_policies.least_request import v3 as least_request
from envoy_data_plane.envoy.extensions.load_balancing_policies.override_host import v3 as override_host
from envoy_data_plane.envoy.type.metadata import v3 as metadata

from . import names
from .messages import packed, seconds


def follow_picker(made: cluster.Cluster) -> None:
    """Let requests go to the endpoint that the picker named, else, or where that one is unknown, to any.

    Endpoints come and go with pods, and the picker knows of them at once, so names are resolved every second.
    """
    made.lb_policy = cluster.ClusterLbPolicy.ROUND_ROBIN  # the default, which the policy below stands for
    if made.type is cluster.ClusterDiscoveryType.STRICT_DNS:
        made.type, made.dns_lookup_family = None, cluster.ClusterDnsLookupFamily.AUTO
        names_of_pods = dns.DnsCluster(
            dns_refresh_rate=seconds(1), dns_lookup_family=common_dns.DnsLookupFamily.V4_PREFERRED
        )
        made.cluster_type = cluster.ClusterCustomClusterType(
            name="envoy.clusters.dns", typed_config=packed(names_of_pods)
        )
    told = metadata.MetadataKey(key=names.BALANCING, path=[metadata.MetadataKeyPathSegment(key=names.ENDPOINT)])
    policy = override_host.OverrideHost(
        override_host_sources=[
            override_host.OverrideHostOverrideHostSource(metadata=told),
            override_host.OverrideHostOverrideHostSource(header=names.ENDPOINT),
        ],
        fallback_policy=_policy("least_request", least_request.LeastRequest()),
    )
    made.load_balancing_policy = _policy("override_host", policy)


def _policy(
    name: str, settings: least_request.LeastRequest | override_host.OverrideHost
) -> cluster.LoadBalancingPolicy:
    config = core.TypedExtensionConfig(name=f"envoy.load_balancing_policies.{name}", typed_config=packed(settings))
    return cluster.LoadBalancingPolicy(policies=[cluster.LoadBalancingPolicyPolicy(typed_extension_config=config)])
