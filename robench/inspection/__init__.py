"""What robench says about itself: list, show, doctor, and the starting files of a plugin."""
