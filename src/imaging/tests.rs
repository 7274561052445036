//! How the room behaves: bounds, panics, one making for all.
