"""Shipped for tests: contract suites for every port, a manual clock, the simulator."""
