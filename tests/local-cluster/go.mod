module podfit.dev/tests/local-cluster

go 1.26
