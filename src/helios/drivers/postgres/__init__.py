"""PostgreSQL: the log and the views of the server setting."""
