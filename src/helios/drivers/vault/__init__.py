"""Where the values of secrets are found."""
