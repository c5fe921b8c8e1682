"""Who may do what: users and tokens, their grants, and how they show who they are."""
