"""The command line: prints, exits, shows progress; nothing else in the package does."""
