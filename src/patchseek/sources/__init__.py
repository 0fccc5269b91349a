"""Where the bytes of a picture come from."""
