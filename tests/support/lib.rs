//! Support for tests of the whole.
