"""Tables that are no files of this machine: where each kind of address is read from, and the copies of one command."""
