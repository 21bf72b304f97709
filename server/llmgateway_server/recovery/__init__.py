"""What follows a failure after content was delivered: continue, verify and splice, restart."""
