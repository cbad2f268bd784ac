"""What runs the chunks of a job: the workers on the bus, or threads of this process."""
