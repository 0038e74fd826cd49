"""The verbs of the command line, one module each; :mod:`routegen.cli` loads a verb's module when it is used."""
