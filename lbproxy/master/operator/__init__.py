"""The operator's side of a running master: what people and programs may ask of it over the control socket."""
