"""The tables and figures of the SKNet paper, and cards of its networks."""
