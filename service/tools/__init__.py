"""What a request says about tools: which may be called, how the model is told of them, and what holds it to them."""
