"""What happens around and after the stages: status, checks of the triggers, questions asked later."""
