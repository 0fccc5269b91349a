"""Where pictures lie."""
