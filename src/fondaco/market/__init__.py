"""The goods half: stores, listings as signed contracts, and how strangers find them."""
