"""The ways in which rows are made: in this process, in another, by a command, a peer, or a language model."""
