"""Executors: the only code of Helios that writes at other systems on its own account."""
