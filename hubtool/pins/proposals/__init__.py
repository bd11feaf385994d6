"""From pins to a pull request: bump, rollback, promotion."""
