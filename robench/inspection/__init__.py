"""What robench says about itself: list, show, doctor and new."""
