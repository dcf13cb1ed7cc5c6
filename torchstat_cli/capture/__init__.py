"""Watch one model run: hooks tell which module, the operator tape tells what ran; everything added is removed."""
