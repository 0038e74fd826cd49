"""``routegen up``: a real Envoy, the router and, if wanted, mock engines on this machine.

``engines`` says where each backend's engine is, ``workdir`` holds the files, ``children`` the processes, ``gateway``
starts them and takes over changes, ``up`` is what the verb does.
"""
