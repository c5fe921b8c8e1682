"""A shop to watch: a believable live load with known faults, judged by the server it runs."""
