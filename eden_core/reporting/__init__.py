"""What was read, from access logs or a run ledger: counted in bounded memory, and shown as one HTML page."""
