"""Real runs for manifests/monitoring: faults are recorded for the alerts, and a Prometheus is asked every query."""
