//! What goes wrong is said in two lines, loses nothing, and never pays.
