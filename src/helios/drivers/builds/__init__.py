"""Builds on this machine: programs, their logs, folders; and the build hooks of hosts."""
