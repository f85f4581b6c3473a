"""Example robots, built on outcry.client alone: read them, then write your own."""
