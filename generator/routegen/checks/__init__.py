"""What a routes.yaml does: cases that it must pass, what a change of it changes, what it surely doesn't mean."""
