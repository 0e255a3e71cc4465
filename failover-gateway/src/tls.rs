//! The tables `[tls.NAME]` and `[listen_tls]`: how TLS is spoken with the targets that name them and with clients, and the
//! files that this is made of.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use failover_tokio::rustls::client::WantsClientCert;
use failover_tokio::rustls::crypto::ring;
use failover_tokio::rustls::pki_types::pem::PemObject;
use failover_tokio::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use failover_tokio::rustls::{self, ClientConfig, ConfigBuilder, RootCertStore, ServerConfig};
use toml::{Table, Value};

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
    /// The key that names it, and its path there.
    place: String,
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
    pub(crate) fn read(table: Value, folder: &Path) -> Result<Self, String> {
        let Value::Table(mut table) = table else {
            return Err("listen_tls: expected a table, [listen_tls], with certificate and key".to_owned());
        };
        let mut file = |key: &str| {
            let missing = || format!("listen_tls.{key} is missing: expected the path of a PEM file");
            file(&mut table, "listen_tls", key, folder)?.ok_or_else(missing)
        };
        let (certificate, key) = (file("certificate")?, file("key")?);
        if let Some(key) = table.keys().next() {
            return Err(format!("listen_tls.{key}: expected one of certificate, key"));
        }
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder =
            builder.with_safe_default_protocol_versions().map_err(|error| format!("tls: {error}"))?;
        let config = builder.with_no_client_auth().with_single_cert(certificate.certificates()?, key.key()?);
        let mut config = config.map_err(|error| mismatch(&certificate, &key, &error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), certificate, key })
    }

    /// The key that names the certificate, and its path.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate.place
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
    pub(crate) fn read(tables: Value, folder: &Path) -> Result<Vec<Self>, String> {
        let Value::Table(tables) = tables else {
            return Err("tls: expected tables such as [tls.inner]".to_owned());
        };
        let read = |(name, table): (String, Value)| {
            let Value::Table(table) = table else {
                return Err(format!("tls.{name}: expected a table, [tls.{name}]"));
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
    fn read(name: &str, mut table: Table, folder: &Path) -> Result<Self, String> {
        let at = format!("tls.{name}");
        let mut file = |key| file(&mut table, &at, key, folder);
        let files = Self { roots: file("roots")?, certificate: file("certificate")?, key: file("key")? };
        match table.keys().next() {
            Some(key) => Err(format!("tls.{name}.{key}: expected one of roots, certificate, key")),
            None => Ok(files),
        }
    }

    fn config(&self, name: &str) -> Result<ClientConfig, String> {
        let trusting = trusting(self.roots(name)?)?;
        match (&self.certificate, &self.key) {
            (None, None) => Ok(trusting.with_no_client_auth()),
            (Some(certificate), Some(key)) => {
                let certificates = certificate.certificates()?;
                let config = trusting.with_client_auth_cert(certificates, key.key()?);
                config.map_err(|error| mismatch(certificate, key, &error))
            }
            (Some(_), None) => {
                Err(format!("tls.{name}.key is missing: expected the key of tls.{name}.certificate"))
            }
            (None, Some(_)) => {
                Err(format!("tls.{name}.certificate is missing: expected the certificate of tls.{name}.key"))
            }
        }
    }

    /// The certificates that are trusted, which are the platform's if nothing is said of them.
    fn roots(&self, name: &str) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        if let Some(file) = &self.roots {
            for root in file.certificates()? {
                roots.add(root).map_err(|error| format!("{}: expected certificates: {error}", file.place))?;
            }
            return Ok(roots);
        }
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(format!("tls.{name}.roots is missing: expected it, since the platform has none"));
        }
        Ok(roots)
    }
}

impl File {
    fn read(place: String, path: PathBuf) -> Result<Self, String> {
        match fs::read(&path) {
            Ok(content) => Ok(Self { path, place, content }),
            Err(error) => Err(format!("{place}: {error}")),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.content).collect();
        let found =
            found.map_err(|error| format!("{}: expected certificates in PEM: {error}", self.place))?;
        if found.is_empty() {
            return Err(format!("{}: expected a certificate in PEM, and there is none", self.place));
        }
        Ok(found)
    }

    /// Nothing of the content is shown.
    fn key(&self) -> Result<PrivateKeyDer<'static>, String> {
        PrivateKeyDer::from_pem_slice(&self.content)
            .map_err(|_| format!("{}: expected a private key in PEM, and there is none", self.place))
    }
}

/// The file that a key of a table names, if it does.
fn file(table: &mut Table, at: &str, key: &str, folder: &Path) -> Result<Option<File>, String> {
    match table.remove(key) {
        // A secret that stands where its file's path should is not shown.
        Some(Value::String(path)) if !path.contains('\n') => {
            File::read(format!("{at}.{key} = {path}"), folder.join(path)).map(Some)
        }
        Some(_) => Err(format!("{at}.{key}: expected the path of a PEM file")),
        None => Ok(None),
    }
}

fn mismatch(certificate: &File, key: &File, error: &rustls::Error) -> String {
    format!("{}: expected the key of the certificate in {}: {error}", key.place, certificate.place)
}

fn trusting(roots: RootCertStore) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| format!("tls: {error}"))?;
    Ok(builder.with_root_certificates(roots))
}
