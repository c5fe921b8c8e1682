"""The three clouds on one machine, so that anyone can try Helios with them without an account.

Pub/Sub and Event Grid are servers of our own that the vendors' unmodified SDKs talk to; AWS is the
moto server with what it lacks put right. Each cloud is a state machine without I/O (`*_queue`,
`*_broker`, `*_hooks`: the clock is passed in), and a thin shell that speaks its protocol. State
lives in memory: what is not kept by the test that uses them is gone with the process.

Each can drop every n-th event it takes (`drops`): it is answered for as if it had been delivered,
and comes back only when somebody replays it in the way this cloud has for that.
"""
