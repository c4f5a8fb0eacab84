//! Stories about the program: each starts it as a process, with folders and ports of its own, and has of it what its users
//! have. `cargo test --test daemon kills::` runs those of one file.

#[path = "../support/mod.rs"]
mod support;

// Clients write and ask.
mod label_look_ups;
mod names_that_become_one;
mod policies;
mod query_manners;
mod reads_beside_seals;
mod telegraf_replica;
mod writes;

// Somebody runs it.
mod config;
mod inspect;
mod reload;
mod signals;

// Strangers can reach it.
mod strangers;
mod tls;

// There is more than the settings allow.
mod admission;
mod cardinality;

// It is killed, and its disk lies.
mod crash;
mod damage;
mod kills;
