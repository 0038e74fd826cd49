"""``routegen bench``: a paired, interleaved comparison of engines.

A leaf of the generator: only the command line imports it. Data flows one way: arms and prompts -> schedule ->
client -> records on disk -> metrics -> verdict -> report. Everything after the records reads nothing else.
"""
