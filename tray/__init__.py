"""The tray: icon, menu and messages for the person. Draws a snapshot of the core, decides nothing."""
