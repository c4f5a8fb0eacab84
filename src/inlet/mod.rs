//! Sockets to lines: bodies of HTTP requests, datagrams, streams; and the daemon's own metrics. What is good is stored,
//! what is not is counted and logged, by the [`Intake`] that all share.

mod body;
mod drops;
mod intake;
mod internal;
mod line_buffer;
mod tcp;
mod udp;

pub use body::{BadLines, BodyError, Coding, HttpInlet, Written};
pub use intake::{Intake, NotStored};
pub use internal::InternalInlet;
pub use tcp::TcpInlet;
pub use udp::{UdpError, UdpInlet};
