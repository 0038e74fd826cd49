"""What the machines do while the engines are measured: pods and nodes, GPUs, the engines' own figures, this client.

Sampled by the command's own process, about once a second and a thread a source, so that nothing is taken from the
process that measures. A source that is absent leaves a sample that says why.
"""
