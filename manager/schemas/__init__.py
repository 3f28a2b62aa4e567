"""What crosses the edge, validated: definitions coming in, tasks and runs going out."""
