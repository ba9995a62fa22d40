"""Words for learners: templates filled in, made safe, and put into a mail's frame."""
