//! Which certificate a client gets, by the name for which it asks (SNI).

use std::{collections::HashMap, fmt, sync::Arc};

use tokio_rustls::rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::x509;

type Keys = Vec<Arc<CertifiedKey>>;

/// The certificates of a server, by their names.
#[derive(Default)]
pub(super) struct CertificateResolver {
    /// In the order of the settings. The first is the default.
    all: Keys,
    /// By names without a wildcard.
    exact: HashMap<String, Keys>,
    /// By what follows the first label, which may be any.
    wildcard: HashMap<String, Keys>,
}

impl CertificateResolver {
    pub(super) fn new(keys: Keys) -> Self {
        let mut this = Self::default();
        for key in &keys {
            let names = key.end_entity_cert().ok().and_then(|certificate| {
                let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
                Some(x509::dns_names(&certificate))
            });
            for name in names.unwrap_or_default() {
                let (names, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut this.wildcard, parent.to_owned()),
                    None => (&mut this.exact, name),
                };
                names.entry(name).or_default().push(key.clone());
            }
        }
        this.all = keys;
        this
    }

    /// The certificates for a name, of which there is at least one if the server has any.
    fn of_name(&self, name: Option<&str>) -> &Keys {
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            return &self.all;
        };
        let parent = || name.split_once('.').map(|(_, parent)| parent);
        let found = self.exact.get(&name);
        let found = found.or_else(|| self.wildcard.get(parent()?));
        found.unwrap_or(&self.all)
    }
}

impl ResolvesServerCert for CertificateResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = self.of_name(hello.server_name());
        let supported = |key: &&Arc<CertifiedKey>| {
            let schemes = hello.signature_schemes();
            key.key.choose_scheme(schemes).is_some()
        };
        // Without one that fits, the client learns so from the handshake with the first.
        let fits = keys.iter().find(supported);
        fits.or(keys.first()).cloned()
    }
}

impl fmt::Debug for CertificateResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateResolver")
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey as Made, generate_simple_self_signed};
    use tokio_rustls::rustls::crypto::ring::default_provider;

    use super::*;
    use crate::tls::pair::Pair;

    fn key(names: &[&str]) -> Arc<CertifiedKey> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let Made { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let pair = Pair {
            name: String::new(),
            certificate: cert.pem(),
            key: signing_key.serialize_pem(),
        };
        pair.certified(&default_provider()).unwrap()
    }

    #[test]
    fn the_certificate_with_the_name_then_a_wildcard_then_the_first() {
        let keys = vec![
            key(&["default.example"]),
            key(&["*.shop.example", "shop.example"]),
            key(&["pay.shop.example", "PAY.example"]),
            key(&["*.pay.example", "shop.example"]),
        ];
        let resolver = CertificateResolver::new(keys.clone());
        for (name, expected) in [
            (None, 0),
            (Some("unknown.example"), 0),
            (Some("default.example"), 0),
            (Some("shop.example"), 1),
            (Some("www.shop.example"), 1),
            (Some("WWW.Shop.Example"), 1),
            (Some("pay.shop.example"), 2),
            (Some("pay.example"), 2),
            (Some("a.pay.example"), 3),
            // A wildcard is for one label.
            (Some("a.b.shop.example"), 0),
            (Some("example"), 0),
        ] {
            let found = &resolver.of_name(name)[0];
            assert!(Arc::ptr_eq(found, &keys[expected]), "{name:?}");
        }
        assert!(
            CertificateResolver::new(Vec::new())
                .of_name(None)
                .is_empty()
        );
    }
}
