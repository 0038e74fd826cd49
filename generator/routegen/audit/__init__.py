"""Is this comparison of engines fair? What manifests say, rule by rule (``routegen audit``).

Data flows one way: ``reading`` (files) or ``cluster`` (a live one) give objects, ``workloads`` finds the engines among
them, ``arguments`` and ``environment`` say what each ``engine`` is told, fact by fact (``facts``), ``pairs`` chooses
which two are compared, ``rules`` compare them, ``report`` collects what they find, ``formats`` print it. Each module
knows only those below it (a contract in pyproject.toml); nothing else of routegen imports this package, only the
command line does.
"""
