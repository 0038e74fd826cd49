"""What is said about a run: one pure model (:mod:`~routegen.bench.report.model`), shown as text, JSON and HTML."""
