"""What schedules are made of besides clocks: filters, recurrence rules, time zones."""
