"""Pages of HTML that need nothing else: templates, styles and scripts, put into one file."""
