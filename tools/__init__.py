"""What makes, checks and fetches what the project needs. Not installed."""
