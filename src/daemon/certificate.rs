//! The certificate of the running daemon: read at the start, and again at a reload and when its files change.

use crate::config;
use crate::tls::{Certificate, Pair, TlsError, Watch, stamp};
use sealine_base::causes;
use sealine_telemetry::Telemetry;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// A certificate, its files, and what is counted of it.
pub(super) struct Certified {
    certificate: Arc<Certificate>,
    files: config::Tls,
    watch: Watch,
    telemetry: Telemetry,
}

impl Certified {
    /// Reads the files for the first time.
    pub fn open(files: &config::Tls, telemetry: &Telemetry) -> Result<Self, TlsError> {
        let (pair, watch) = read(files)?;
        telemetry.tls.expires.set(pair.expires.unwrap_or(0));
        let certificate = Certificate::new(pair);
        Ok(Certified { certificate, files: files.clone(), watch, telemetry: telemetry.clone() })
    }

    /// What takes handshakes.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.certificate.acceptor()
    }

    /// Reads the files again if they have changed. A bad pair is logged once, and the one before stays in use.
    pub fn look(&mut self) {
        let (cert, key) = (&self.files.cert, &self.files.key);
        if !self.watch.is_due(stamp(cert, key)) {
            return;
        }
        match Pair::read(cert, key) {
            Ok(pair) => {
                tracing::info!(cert = %cert.display(), "the certificate has changed, and is in use");
                self.show(pair);
            }
            Err(error) => {
                self.telemetry.tls.read_succeeded.set(0);
                let why = causes::sentence(&error);
                tracing::warn!("the certificate has changed but cannot be used; the previous one stays in use: {why}");
            }
        }
    }

    /// Reads these files, for [`Self::take`].
    pub fn read(files: &config::Tls) -> Result<Replacement, TlsError> {
        let (pair, watch) = read(files)?;
        Ok(Replacement { files: files.clone(), pair, watch })
    }

    /// Uses what was read.
    pub fn take(&mut self, Replacement { files, pair, watch }: Replacement) {
        (self.files, self.watch) = (files, watch);
        self.show(pair);
    }

    fn show(&mut self, pair: Pair) {
        self.telemetry.tls.read_succeeded.set(1);
        self.telemetry.tls.expires.set(pair.expires.unwrap_or(0));
        self.certificate.set(pair);
    }
}

/// A pair that was read and is not in use yet.
pub(super) struct Replacement {
    files: config::Tls,
    pair: Pair,
    watch: Watch,
}

/// The pair, and how the files looked before it was read: what changes in between is read again.
fn read(files: &config::Tls) -> Result<(Pair, Watch), TlsError> {
    let (cert, key): (&Path, &Path) = (&files.cert, &files.key);
    let watch = Watch::new(stamp(cert, key));
    Ok((Pair::read(cert, key)?, watch))
}
