//! The tables `[tls.NAME]` and `[listen_tls]`: how TLS is spoken with the targets that name them and with clients, and the
//! files that this is made of.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use failover_tokio::BuildError;
use failover_tokio::rustls::client::WantsClientCert;
use failover_tokio::rustls::crypto::ring;
use failover_tokio::rustls::pki_types::pem::PemObject;
use failover_tokio::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use failover_tokio::rustls::{self, ClientConfig, ConfigBuilder, RootCertStore, ServerConfig};
use toml::{Table, Value};

use crate::mistake::Mistake;

/// Settings of TLS, by their name.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) config: Arc<ClientConfig>,
    files: Files,
}

/// What was read.
#[derive(Eq, PartialEq)]
struct Files {
    roots: Option<File>,
    certificate: Option<File>,
    key: Option<File>,
}

#[derive(Eq, PartialEq)]
struct File {
    path: PathBuf,
    /// The key that names it.
    key: String,
    /// Its path there.
    told: String,
    content: Vec<u8>,
}

/// How TLS is spoken with clients: HTTP/2 or HTTP/1.1, as they like.
pub(crate) struct Served {
    pub(crate) config: Arc<ServerConfig>,
    certificate: File,
    key: File,
}

impl Served {
    /// Reads the files of the table `[listen_tls]`, whose paths are relative to a folder.
    ///
    /// # Errors
    ///
    /// Names the key and the file that make no sense.
    pub(crate) fn read(table: Value, folder: &Path) -> Result<Self, Mistake> {
        let Value::Table(mut table) = table else {
            let expected = "expected a table, [listen_tls], with certificate and key, or \"off\"";
            return Err(Mistake::new("listen_tls", expected));
        };
        known(&table, "listen_tls", &["certificate", "key"])?;
        let mut file = |key: &str| {
            let missing = || Mistake::missing(format!("listen_tls.{key}"), "expected the path of a PEM file");
            file(&mut table, "listen_tls", key, folder)?.ok_or_else(missing)
        };
        let (certificate, key) = (file("certificate")?, file("key")?);
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(|error| Mistake::new("listen_tls", error.to_string()))?;
        let config = builder.with_no_client_auth().with_single_cert(certificate.certificates()?, key.key()?);
        let mut config = config.map_err(|error| mismatch(&certificate, &key, &error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), certificate, key })
    }

    /// The key that names the certificate, and its path.
    pub(crate) fn certificate(&self) -> String {
        let File { key, told, .. } = &self.certificate;
        format!("{key} = {told}")
    }

    /// Where the key is.
    pub(crate) fn key(&self) -> &Path {
        &self.key.path
    }
}

impl Named {
    /// Reads the files of all tables, whose paths are relative to a folder.
    ///
    /// # Errors
    ///
    /// Names the key and the file that make no sense.
    pub(crate) fn read(tables: Value, folder: &Path) -> Result<Vec<Self>, Mistake> {
        let Value::Table(tables) = tables else {
            return Err(Mistake::new("tls", "expected tables such as [tls.inner]"));
        };
        let read = |(name, table): (String, Value)| {
            let Value::Table(table) = table else {
                return Err(Mistake::new(format!("tls.{name}"), format!("expected a table, [tls.{name}]")));
            };
            let files = Files::read(&name, table, folder)?;
            let config = Arc::new(files.config(&name)?);
            Ok(Self { name, config, files })
        };
        tables.into_iter().map(read).collect()
    }

    /// Where the key is, if there is one.
    pub(crate) fn key(&self) -> Option<&Path> {
        self.files.key.as_ref().map(|key| key.path.as_path())
    }

    /// The same settings as before where nothing has changed, so that connections stay.
    pub(crate) fn or_as_before(mut self, before: &[Self]) -> Self {
        let same = before.iter().find(|before| (&before.name, &before.files) == (&self.name, &self.files));
        if let Some(same) = same {
            self.config = Arc::clone(&same.config);
        }
        self
    }
}

impl Files {
    fn read(name: &str, mut table: Table, folder: &Path) -> Result<Self, Mistake> {
        let at = format!("tls.{name}");
        known(&table, &at, &["roots", "certificate", "key"])?;
        let mut file = |key| file(&mut table, &at, key, folder);
        Ok(Self { roots: file("roots")?, certificate: file("certificate")?, key: file("key")? })
    }

    fn config(&self, name: &str) -> Result<ClientConfig, Mistake> {
        let trusting = trusting(self.roots(name)?)?;
        match (&self.certificate, &self.key) {
            (None, None) => Ok(trusting.with_no_client_auth()),
            (Some(certificate), Some(key)) => {
                let certificates = certificate.certificates()?;
                let config = trusting.with_client_auth_cert(certificates, key.key()?);
                config.map_err(|error| mismatch(certificate, key, &error))
            }
            (Some(_), None) => {
                let expected = format!("expected the key of tls.{name}.certificate");
                Err(Mistake::missing(format!("tls.{name}.key"), expected))
            }
            (None, Some(_)) => {
                let expected = format!("expected the certificate of tls.{name}.key");
                Err(Mistake::missing(format!("tls.{name}.certificate"), expected))
            }
        }
    }

    /// The certificates that are trusted, which are the platform's if nothing is said of them.
    fn roots(&self, name: &str) -> Result<RootCertStore, Mistake> {
        let mut roots = RootCertStore::empty();
        if let Some(file) = &self.roots {
            for root in file.certificates()? {
                roots.add(root).map_err(|error| file.refuse(format!("expected certificates: {error}")))?;
            }
            return Ok(roots);
        }
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            let expected = "expected it, since the platform has none";
            return Err(Mistake::missing(format!("tls.{name}.roots"), expected));
        }
        Ok(roots)
    }
}

impl File {
    fn read(key: String, told: String, folder: &Path) -> Result<Self, Mistake> {
        let path = folder.join(&told);
        match fs::read(&path) {
            Ok(content) => Ok(Self { path, key, told, content }),
            // What is no file may be what should be in it.
            Err(error) => Err(Mistake::new(key, error.to_string())),
        }
    }

    fn refuse(&self, told: impl Into<String>) -> Mistake {
        Mistake::of(&self.key, &self.told, told)
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Mistake> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.content).collect();
        let found = found.map_err(|error| self.refuse(format!("expected certificates in PEM: {error}")))?;
        if found.is_empty() {
            return Err(self.refuse("expected a certificate in PEM, and there is none"));
        }
        Ok(found)
    }

    /// Nothing of the content is shown.
    fn key(&self) -> Result<PrivateKeyDer<'static>, Mistake> {
        PrivateKeyDer::from_pem_slice(&self.content)
            .map_err(|_| self.refuse("expected a private key in PEM, and there is none"))
    }
}

/// The file that a key of a table names, if it does.
fn file(table: &mut Table, at: &str, key: &str, folder: &Path) -> Result<Option<File>, Mistake> {
    let place = format!("{at}.{key}");
    match table.remove(key) {
        // A secret that stands where its file's path should is not shown.
        Some(Value::String(path)) if !path.contains('\n') => File::read(place, path, folder).map(Some),
        Some(_) => Err(Mistake::new(place, "expected the path of a PEM file")),
        None => Ok(None),
    }
}

/// Refuses a table that has other keys.
fn known(table: &Table, at: &str, keys: &[&str]) -> Result<(), Mistake> {
    let other = table.keys().find(|key| !keys.contains(&key.as_str()));
    other.map_or(Ok(()), |key| Err(BuildError::unknown_key(at, key, keys).into()))
}

fn mismatch(certificate: &File, key: &File, error: &rustls::Error) -> Mistake {
    let File { key: place, told, .. } = certificate;
    key.refuse(format!("expected the key of the certificate in {place} = {told}: {error}"))
}

fn trusting(roots: RootCertStore) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Mistake> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| Mistake::new("tls", error.to_string()))?;
    Ok(builder.with_root_certificates(roots))
}
