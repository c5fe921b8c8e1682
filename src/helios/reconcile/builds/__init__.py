"""Sites rebuilt when their content changes: declared, batched, built, published."""
