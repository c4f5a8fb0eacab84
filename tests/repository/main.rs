//! What the repository says about itself is true.

mod architecture;
mod pages;
