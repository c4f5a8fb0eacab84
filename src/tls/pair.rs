//! Certificate and key as they stand in their files.

use super::{expiry, provider};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys};

/// What the sections of a PEM file begin with.
const BEGIN: &str = "-----BEGIN ";

/// Why a pair cannot be used. The messages name the setting and its file, and never repeat what is in a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{setting}: cannot read {path}")]
    Read {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file lacks what it should contain.
    #[error("{setting}: got {got} in {path}, want {want}")]
    Content {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What was found, by the titles of its sections.
        got: String,
        /// What it should have.
        want: &'static str,
    },
    /// They do not belong together.
    #[error(
        "http.tls.key: got a key in {key} that is not that of the certificate in {cert}, want the key it was made for"
    )]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// They are well formed, and not what can be worked with.
    #[error("http.tls: the certificate in {cert} and the key in {key} cannot be used")]
    Unusable {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: Error,
    },
}

/// A certificate with its chain and the key that belongs to it.
#[derive(Debug)]
pub struct Pair {
    pub(super) certified: Arc<CertifiedKey>,
    /// When the certificate expires, seconds since the Unix epoch; `None` if that is unknown.
    pub expires: Option<i64>,
}

impl Pair {
    /// Reads the PEM files of a certificate, those that it was signed by behind it, and of its key.
    pub fn read(cert: &Path, key: &Path) -> Result<Pair, TlsError> {
        let chain = certificates(cert)?;
        let secret = private_key(key)?;
        let expires = chain.first().and_then(|first| expiry::of(first));
        let certified = CertifiedKey::from_der(chain, secret, &provider()).map_err(|source| match source {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                TlsError::Mismatch { cert: cert.to_path_buf(), key: key.to_path_buf() }
            }
            source => TlsError::Unusable { cert: cert.to_path_buf(), key: key.to_path_buf(), source },
        })?;
        Ok(Pair { certified: Arc::new(certified), expires })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let (setting, want) = ("http.tls.cert", "PEM sections `CERTIFICATE`, the server's first");
    let text = read(setting, path)?;
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(content(setting, path, titles(&text), want)),
        Err(error) => Err(content(setting, path, broken(&error), want)),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let (setting, want) = ("http.tls.key", "a PEM section `PRIVATE KEY` without a passphrase");
    let text = read(setting, path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => content(setting, path, titles(&text), want),
        error => content(setting, path, broken(&error), want),
    })
}

#[expect(clippy::disallowed_methods, reason = "certificates are no data of ours: other programs write them")]
fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { setting, path: path.to_path_buf(), source })
}

fn content(setting: &'static str, path: &Path, got: String, want: &'static str) -> TlsError {
    TlsError::Content { setting, path: path.to_path_buf(), got, want }
}

/// The titles of the sections in a file.
fn titles(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let titles = text.lines().filter_map(|line| line.trim().strip_prefix(BEGIN)?.strip_suffix("-----"));
    let titles: Vec<String> = titles.map(|title| format!("`{title}`")).collect();
    if titles.is_empty() { format!("{} bytes without a PEM section", text.len()) } else { titles.join(", ") }
}

/// What is wrong with a section, without its content.
fn broken(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a PEM section without an end".to_string(),
        pem::Error::IllegalSectionStart { .. } => "a PEM section whose first line is broken".to_string(),
        pem::Error::Base64Decode(_) => "a PEM section that is not base64".to_string(),
        _ => "a PEM section that cannot be read".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_string()]).expect("it is made");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("the test's folder is writable");
        path
    }

    #[test]
    fn a_pair_is_read_with_its_chain_and_its_expiry() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let ((cert, key), (other, _)) = (made(), made());
        let (cert, key) = (file(folder.path(), "cert.pem", &(cert + &other)), file(folder.path(), "key.pem", &key));
        let pair = Pair::read(&cert, &key).expect("it is a pair");
        assert_eq!(pair.certified.cert.len(), 2);
        assert_eq!(pair.expires, Some(67_090_118_400), "rcgen's are good until the year 4096");
    }

    #[test]
    fn what_is_no_pair_is_told_by_file_and_content() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let ((cert, key), (_, other)) = (made(), made());
        let cut = &cert[..cert.len() / 2];
        let noise = cert.replace('M', "!");
        let locked = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
        let want_cert = "want PEM sections `CERTIFICATE`, the server's first";
        let want_key = "want a PEM section `PRIVATE KEY` without a passphrase";
        for (name, cert, key, want) in [
            ("swapped", &*key, &*cert, format!("http.tls.cert: got `PRIVATE KEY` in CERT, {want_cert}")),
            ("no_key", &cert, &cert, format!("http.tls.key: got `CERTIFICATE` in KEY, {want_key}")),
            ("locked", &cert, &locked, format!("http.tls.key: got `ENCRYPTED PRIVATE KEY` in KEY, {want_key}")),
            ("empty", "", &key, format!("http.tls.cert: got 0 bytes without a PEM section in CERT, {want_cert}")),
            ("cut", cut, &key, format!("http.tls.cert: got a PEM section without an end in CERT, {want_cert}")),
            ("noise", &noise, &key, format!("http.tls.cert: got a PEM section that is not base64 in CERT, {want_cert}")),
            (
                "mismatch",
                &cert,
                &other,
                "http.tls.key: got a key in KEY that is not that of the certificate in CERT, want the key it was made for"
                    .to_string(),
            ),
        ] {
            let (cert, key) = (file(folder.path(), "cert.pem", cert), file(folder.path(), "key.pem", key));
            let message = Pair::read(&cert, &key).unwrap_err().to_string();
            let message = message.replace(&cert.display().to_string(), "CERT").replace(&key.display().to_string(), "KEY");
            assert_eq!(message, want, "{name}");
        }
        let missing = folder.path().join("missing.pem");
        let message = Pair::read(&missing, &missing).unwrap_err().to_string();
        assert_eq!(message, format!("http.tls.cert: cannot read {}", missing.display()));
    }
}
