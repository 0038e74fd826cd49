module routegen/benchmarks/load

go 1.24
