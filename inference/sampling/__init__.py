"""From logits to the next token: what a request asks for, what its tokens so far do to the logits, and the draw."""
