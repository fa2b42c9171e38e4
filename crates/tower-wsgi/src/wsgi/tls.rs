//! The variables of a request over TLS, with the names of `mod_ssl`.

use std::borrow::Cow;

use tower_server_info::TlsInfo;

use super::Environ;

impl Environ {
    /// What is known of the TLS of the connection, from which the `SSL_` variables are made; `None` where the server does not
    /// say it.
    ///
    /// Behind a proxy that speaks TLS with this server, it is that of the proxy.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.addresses.tls.as_ref()
    }

    /// The `SSL_` variables, each once: `SSL_PROTOCOL`, `SSL_CIPHER`, `SSL_TLS_SNI`, and those of the client's certificate,
    /// `SSL_CLIENT_VERIFY` (`SUCCESS`, or `NONE` if it has none), `SSL_CLIENT_S_DN`, `SSL_CLIENT_I_DN`, `SSL_CLIENT_M_SERIAL` and
    /// `SSL_CLIENT_CERT`. There are none without TLS.
    ///
    /// A field of the request cannot set them: its variable begins with `HTTP_`.
    pub fn tls_variables(&self) -> impl Iterator<Item = (&'static str, Cow<'_, [u8]>)> {
        let text = |text: &'static str| Cow::from(text.as_bytes());
        self.tls().into_iter().flat_map(move |tls| {
            let client = tls.client();
            let verified = if client.is_some() { "SUCCESS" } else { "NONE" };
            let of_client = client.map(|client| {
                [
                    ("SSL_CLIENT_S_DN", Cow::from(client.subject().as_bytes())),
                    ("SSL_CLIENT_I_DN", Cow::from(client.issuer().as_bytes())),
                    ("SSL_CLIENT_M_SERIAL", Cow::from(client.serial().as_bytes())),
                    ("SSL_CLIENT_CERT", Cow::from(client.pem().into_bytes())),
                ]
            });
            let name = tls.server_name();
            let name = name.map(|name| ("SSL_TLS_SNI", Cow::from(name.as_bytes())));
            let fixed = [
                ("SSL_PROTOCOL", text(tls.version())),
                ("SSL_CIPHER", text(tls.cipher_suite())),
                ("SSL_CLIENT_VERIFY", text(verified)),
            ];
            let of_client = of_client.into_iter().flatten();
            fixed.into_iter().chain(name).chain(of_client)
        })
    }
}
