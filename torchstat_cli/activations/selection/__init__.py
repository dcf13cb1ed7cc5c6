"""What a user selects: names, the selection language, leaf modules, the engine for them."""
