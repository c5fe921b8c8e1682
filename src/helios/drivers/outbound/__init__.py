"""Every call that Helios makes to others goes through here."""
