"""What any target on Kubernetes needs, whatever its gateway: the frame of an object, and the router's own objects."""
