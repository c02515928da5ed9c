"""Time, sessions and transport. May import `models`; `models` never imports this."""
