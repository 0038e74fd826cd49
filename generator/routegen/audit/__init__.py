"""Is this comparison of engines fair? What manifests say, rule by rule (``routegen audit``).

Data flows one way: ``reading`` (files) or ``cluster`` (a live one) give objects, ``workloads`` finds the engines among
them, ``arguments`` and ``facts`` say what each engine is told to do, ``rules`` compare two engines, ``report`` collects
what they find, ``formats`` print it. Nothing else of routegen imports this package; only the command line does.
"""
