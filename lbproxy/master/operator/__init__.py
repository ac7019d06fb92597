"""What people and programs may ask of a running master, over the control socket."""
