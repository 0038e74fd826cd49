"""``routegen bench``: a paired, interleaved comparison of engines.

A leaf of the generator: only the command line imports it. Data flows one way: arms, prompts or a workload -> layout and
schedule -> jobs -> client -> records on disk -> metrics -> comparisons, as far as a planned look allows, and checks ->
analysis -> report. Everything after the records reads nothing else.
"""
