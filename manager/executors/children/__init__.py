"""Child processes: forked warm, given one call at a time, ended with all that they started."""
