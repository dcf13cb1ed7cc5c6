"""One operator call: its record, what tells it from others, and the memo that answers equal calls."""
