"""Images: databases and their classes, and what training makes of them."""
