"""Reading routes.yaml: YAML with positions, strict types, every problem at once."""
