//! Boundary probes to a difficulty per task.
