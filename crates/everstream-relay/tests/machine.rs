//! The rules of the machine, one by one.
