"""What a model says, taken apart: thoughts, text and calls, and the items of a response that they become."""
