"""A simulated course and its learners. The seed fixes every history before any message."""
