"""What saves have left behind that no checkpoint needs: finding it, and removing it by its age."""
