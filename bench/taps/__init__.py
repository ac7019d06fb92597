"""What requests wait beside a tap: whoever reads is awake, asleep, dead or was never there, and the disk has room or has not."""
