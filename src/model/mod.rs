//! Floor 1: the lives of an order, a payment attempt, a refund. Pure: no clock, no random, no IO.
