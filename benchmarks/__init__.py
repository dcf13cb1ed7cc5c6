"""What the documentation claims about speed, memory and other tools, measured again by one command."""
