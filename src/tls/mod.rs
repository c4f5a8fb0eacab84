//! The certificate that HTTP shows its clients: read from two files, and read again when they have changed.
//!
//! A pair that is bad is refused as a whole, with the file and what was found in it; the one before stays in use.

mod client;
mod expiry;
mod pair;
mod watch;

pub use client::trusting;
pub use pair::{Pair, TlsError};
pub use watch::{Watch, stamp};

use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

/// The only protocol that we speak inside.
const PROTOCOL: &[u8] = b"http/1.1";

/// The certificate in use. Handshakes read it, a reload replaces it.
#[derive(Debug)]
pub struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    /// Begins with this pair.
    pub fn new(pair: Pair) -> Arc<Self> {
        Arc::new(Certificate(ArcSwap::new(pair.certified)))
    }

    /// Handshakes from now on show this one; connections that are open go on.
    pub fn set(&self, pair: Pair) {
        self.0.store(pair.certified);
    }

    /// What takes handshakes with it, whichever it is at the time.
    pub fn acceptor(self: &Arc<Self>) -> TlsAcceptor {
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        // It fails only where a provider has no cipher of either version, and `ring` has those of both.
        let config = config.expect("BUG: the provider speaks no TLS");
        let mut config = config.with_no_client_auth().with_cert_resolver(self.clone());
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// The cryptography: the provider that builds without additional tools.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
